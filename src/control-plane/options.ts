import { z } from "zod";

/** Settings of the server, from the environment. */
export const Options = z.object({
  COFFERDAM_DATA_DIRECTORY: z
    .string()
    .min(1)
    .default("/var/lib/cofferdam")
    .describe("holds the database and the blobs"),
  COFFERDAM_HOST: z.string().default("127.0.0.1").describe("address to serve HTTP on"),
  COFFERDAM_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe("port to serve HTTP on; 0: any free one"),
  COFFERDAM_ORB_REGISTRY: z
    .string()
    .refine((url) => url === "none" || (/^https?:/.test(url) && URL.canParse(url)), "neither an http address nor none")
    .default("https://circleci.com")
    .describe("registry of orbs that are not published here: published orbs may import them; none: nowhere"),
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

/** Throws an Error that names each bad variable. */
export function readOptions(environment: Readonly<Record<string, string | undefined>>): Options {
  const parsed = Options.safeParse(environment);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
}
