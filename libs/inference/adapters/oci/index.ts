export { OciFetcher, type OciFetcherSettings } from './oci-fetcher.js';
