import { join } from "node:path";
import { z } from "zod";
import { parseDuration } from "../lib/duration.ts";
import { withSecretFiles } from "../lib/secret-files.ts";
import type { Retention } from "./control-plane.ts";
import { bucketKey, StoreSettings, storeSecrets } from "./store-settings.ts";

const words = z.string().transform((text) => text.split(/[\s,]+/).filter((word) => word !== ""));

/** Settings of the server, from the environment. */
export const Options = z.object({
  ...StoreSettings.shape,
  COFFERDAM_DATA_DIRECTORY: z
    .string()
    .min(1)
    .default("/var/lib/cofferdam")
    .describe("holds the database and the blobs"),
  COFFERDAM_HOST: z.string().default("127.0.0.1").describe("address to serve HTTP on; the image sets 0.0.0.0"),
  COFFERDAM_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe("port to serve HTTP on; 0: any free one"),
  COFFERDAM_TLS_CERT_FILE: z
    .string()
    .optional()
    .describe("certificate and its chain in PEM: HTTPS is served; read again when it changes, and on SIGHUP"),
  COFFERDAM_TLS_KEY_FILE: z.string().optional().describe("the certificate's key in PEM"),
  COFFERDAM_ADMIN_TOKEN_FILE: z
    .string()
    .optional()
    .describe("holds the administrator's token, and gets one where it is missing; `admin-token` of the data directory"),
  COFFERDAM_BOOTSTRAP_CLASSES: words
    .default([])
    .describe("resource classes, separated by commas, that are made at the start where they are missing"),
  COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY: z
    .string()
    .optional()
    .describe("gets a file `NAMESPACE.NAME` with a token for each of them, for its owner's eyes alone"),
  COFFERDAM_DEFAULT_CLASS: z
    .string()
    .optional()
    .describe("resource class of jobs that name none; the first of COFFERDAM_BOOTSTRAP_CLASSES"),
  COFFERDAM_LAUNCH_AGENT_IMAGE: z
    .string()
    .regex(/^\S+@sha256:[0-9a-f]{64}$/, "is not of the form name@sha256:…")
    .optional()
    .describe("image, name@sha256:…, that launch agents are to run: those that update themselves take it"),
  COFFERDAM_ORB_REGISTRY: z
    .string()
    .refine((url) => url === "none" || (/^https?:/.test(url) && URL.canParse(url)), "neither an http address nor none")
    .default("https://circleci.com")
    .describe("registry of orbs that are not published here: published orbs may import them; none: nowhere"),
  COFFERDAM_KEEP_PIPELINES: z.coerce
    .number()
    .int()
    .positive()
    .optional()
    .describe("rows, output and artifacts of so many ended pipelines are kept, the newest ones; all by default"),
  COFFERDAM_KEEP_ARCHIVES: z
    .string()
    .refine((text) => parseDuration(text) !== undefined, "is no duration such as 360h")
    .default("360h")
    .describe("caches and workspaces are kept for so long"),
  COFFERDAM_KEEP_ARCHIVE_BYTES: z.coerce
    .number()
    .int()
    .positive()
    .optional()
    .describe("of caches and workspaces together, the oldest go first; any number by default"),
  COFFERDAM_LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe("what is logged to stderr, as JSON lines"),
  COFFERDAM_STOP_GRACE_MS: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(10_000)
    .describe("time for running calls at a stop"),
});
export type Options = z.infer<typeof Options>;

/** A setting that is empty is not set: compose files cannot leave one out. Throws an Error that names each bad variable. */
export function readOptions(environment: Readonly<Record<string, string | undefined>>): Options {
  const read = withSecretFiles(environment, storeSecrets, bucketKey);
  const set = Object.fromEntries(Object.entries(read).filter(([, value]) => value !== ""));
  const parsed = Options.safeParse(set);
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
  const { COFFERDAM_TLS_CERT_FILE: cert, COFFERDAM_TLS_KEY_FILE: key } = parsed.data;
  if ((cert === undefined) !== (key === undefined))
    throw new Error("COFFERDAM_TLS_CERT_FILE and COFFERDAM_TLS_KEY_FILE go together: set both, or none");
  return parsed.data;
}

export function tlsOf(options: Options): { certFile: string; keyFile: string } | undefined {
  const { COFFERDAM_TLS_CERT_FILE: certFile, COFFERDAM_TLS_KEY_FILE: keyFile } = options;
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

export function retentionOf(options: Options): Retention {
  return {
    keepPipelines: options.COFFERDAM_KEEP_PIPELINES ?? Number.POSITIVE_INFINITY,
    maxAgeMs: parseDuration(options.COFFERDAM_KEEP_ARCHIVES) ?? 0,
    maxBytes: options.COFFERDAM_KEEP_ARCHIVE_BYTES ?? Number.POSITIVE_INFINITY,
  };
}

export function adminTokenFileOf(options: Options): string {
  return options.COFFERDAM_ADMIN_TOKEN_FILE ?? join(options.COFFERDAM_DATA_DIRECTORY, "admin-token");
}
