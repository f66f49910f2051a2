import { isOwnMachine, type SluiceConfig } from '../config.js';
import { HostList } from './host-list.js';
import { OutboundGuard } from './outbound-guard.js';

/**
 * For servers that models run on. While only this machine's own people can register one, any address of somebody will do;
 * beyond loopback private networks are closed until the operator lists what may be reached there.
 */
export function remoteGuard({ remoteHosts, host }: Pick<SluiceConfig, 'remoteHosts' | 'host'>): OutboundGuard {
  const setting = 'SLUICE_REMOTE_HOSTS';
  if (remoteHosts !== undefined)
    return new OutboundGuard({ allowed: HostList.of(remoteHosts), unlisted: 'refused', setting });
  return new OutboundGuard({ unlisted: isOwnMachine(host) ? 'any' : 'public', setting });
}

/** For addresses that Sluice calls by itself on somebody's behalf, webhooks for one: public ones, and what is listed. */
export const webhookGuard = ({ outboundHosts }: Pick<SluiceConfig, 'outboundHosts'>): OutboundGuard =>
  new OutboundGuard({ allowed: HostList.of(outboundHosts), unlisted: 'public', setting: 'SLUICE_OUTBOUND_HOSTS' });

/** For registries and the stores that they redirect to. */
export function artifactGuard(
  config: Pick<SluiceConfig, 'artifactSources' | 'ociPlainHttp' | 'outboundHosts' | 's3Endpoint' | 'host'>,
): OutboundGuard {
  const { artifactSources, ociPlainHttp, outboundHosts, s3Endpoint, host } = config;
  const registries = (artifactSources ?? []).flatMap((source) => /^oci:\/\/([^/@]+)/.exec(source)?.[1] ?? []);
  const stores = s3Endpoint === undefined ? [] : [new URL(s3Endpoint).host];
  return new OutboundGuard({
    allowed: HostList.of([...outboundHosts, ...ociPlainHttp, ...registries, ...stores]),
    unlisted: isOwnMachine(host) ? 'any' : 'public',
    setting: 'SLUICE_OUTBOUND_HOSTS',
  });
}
