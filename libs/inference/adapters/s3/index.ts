export { S3Fetcher, type S3FetcherSettings } from './s3-fetcher.js';
