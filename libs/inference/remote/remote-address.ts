import { OutboundGuard } from '#libs/platform';

/** What holds without a list: the addresses that nobody's list opens. */
const anywhere = new OutboundGuard({ unlisted: 'any', setting: '' });

/** @returns what is wrong with it as the address of a server, in words that follow its name; undefined when nothing is */
export function addressProblem(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'must be an http or https address';
  if (url.username !== '' || url.password !== '')
    return 'must hold no user or password: name a header in secretHeaders instead';
  if (url.search !== '' || url.hash !== '') return 'must end with its path: no query and no fragment';
  if (anywhere.problemOf(url) !== undefined)
    return 'is a link-local, metadata or reserved address, where no model is served';
  return undefined;
}

/** The one form of a target's address: what stands in replica rows, and what two targets are compared by. */
export function canonicalAddress(address: string): string {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}
