export { S3Place, type S3PlaceSettings } from './s3-place.js';
