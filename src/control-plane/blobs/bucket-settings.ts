import type { Secret } from "../../lib/secret.ts";

export interface BucketSettings {
  name: string;
  /** `https://host:port`. Undefined: Amazon's, of the region. */
  endpoint?: string;
  region: string;
  /** Before every key: several control planes may share a bucket. */
  prefix: string;
  /** Undefined: those of the environment, of the machine or of the container, as Amazon's own tools find them. */
  credentials?: { accessKeyId: string; secretAccessKey: Secret };
  /** The bucket is a part of the path, not of the host's name. */
  forcePathStyle: boolean;
}
