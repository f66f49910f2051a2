import { kindOfAddress, OutboundGuard } from '#libs/platform';

/** For stores and registries that the operator named himself: anywhere but where nothing may be fetched from. */
export const anySource = new OutboundGuard({ unlisted: 'any', setting: 'SLUICE_OUTBOUND_HOSTS' });

export const isLoopbackHost = (host: string): boolean => host === 'localhost' || kindOfAddress(host) === 'loopback';
