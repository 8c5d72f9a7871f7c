import { z } from "zod";
import { Secret } from "../lib/secret.ts";
import type { BucketSettings } from "./blobs/bucket-settings.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";

/** Without a key, that of the machine's role is taken: so a stack that has files for one may leave them empty. */
export const bucketKey = ["COFFERDAM_S3_ACCESS_KEY_ID", "COFFERDAM_S3_SECRET_ACCESS_KEY"];
/** Of these settings, those that may come as files: `NAME_FILE`. */
export const storeSecrets = ["COFFERDAM_DATABASE_URL", ...bucketKey];

/** Where rows and bytes are, when they are not in the data directory. */
export const StoreSettings = z.object({
  COFFERDAM_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "is not of the form postgres://user:password@host:port/database")
    .optional()
    .describe(
      "PostgreSQL, postgres://user:password@host:port/database?sslmode=…, or _FILE; a file in the data directory",
    ),
  COFFERDAM_DATABASE_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(2)
    .max(1000)
    .default(10)
    .describe("connections to PostgreSQL of one server process at most, and one more for news"),
  COFFERDAM_S3_BUCKET: z
    .string()
    .min(1)
    .optional()
    .describe("bucket for caches, workspaces, artifacts and test results; files in the data directory"),
  COFFERDAM_S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("where S3 is spoken, https://host:port; Amazon's of the region"),
  COFFERDAM_S3_REGION: z.string().min(1).default("us-east-1").describe("region of the bucket"),
  COFFERDAM_S3_PREFIX: z.string().default("").describe("put before every key, such as `cofferdam/`"),
  COFFERDAM_S3_ACCESS_KEY_ID: z
    .string()
    .optional()
    .describe(
      "key for the bucket, or _FILE; what the environment, the container or the machine has, as Amazon's tools find it",
    ),
  COFFERDAM_S3_SECRET_ACCESS_KEY: z.string().optional().describe("secret of the key, or _FILE"),
  COFFERDAM_S3_FORCE_PATH_STYLE: z
    .enum(["true", "false"])
    .optional()
    .describe("the bucket is a part of the path, not of the host's name; true where COFFERDAM_S3_ENDPOINT is set"),
});
type StoreSettings = z.infer<typeof StoreSettings>;

/** Throws an Error that names the variables which do not go together. */
export function storesOf(settings: StoreSettings): Pick<ControlPlaneOptions, "database" | "bucket"> {
  const { COFFERDAM_DATABASE_URL: url, COFFERDAM_DATABASE_CONNECTIONS: maxConnections } = settings;
  const database = url === undefined ? undefined : { url: new Secret(url), maxConnections };
  const bucket = bucketOf(settings);
  return { ...(database ? { database } : {}), ...(bucket ? { bucket } : {}) };
}

function bucketOf(settings: StoreSettings): BucketSettings | undefined {
  const {
    COFFERDAM_S3_BUCKET: name,
    COFFERDAM_S3_ENDPOINT: endpoint,
    COFFERDAM_S3_REGION: region,
    COFFERDAM_S3_PREFIX: prefix,
    COFFERDAM_S3_FORCE_PATH_STYLE: forcePathStyle = String(endpoint !== undefined),
  } = settings;
  const credentials = credentialsOf(settings);
  if (name === undefined) {
    if (endpoint !== undefined || credentials) throw new Error("COFFERDAM_S3_BUCKET is missing: name the bucket");
    return undefined;
  }
  return {
    name,
    region,
    prefix,
    forcePathStyle: forcePathStyle === "true",
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials ? { credentials } : {}),
  };
}

function credentialsOf(settings: StoreSettings): BucketSettings["credentials"] {
  const { COFFERDAM_S3_ACCESS_KEY_ID: accessKeyId, COFFERDAM_S3_SECRET_ACCESS_KEY: secret } = settings;
  if (accessKeyId === undefined && secret === undefined) return undefined;
  if (accessKeyId === undefined || secret === undefined)
    throw new Error("COFFERDAM_S3_ACCESS_KEY_ID and COFFERDAM_S3_SECRET_ACCESS_KEY go together: set both, or none");
  return { accessKeyId, secretAccessKey: new Secret(secret) };
}
