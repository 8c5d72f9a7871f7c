import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import type { Clock } from "../../lib/clock.ts";
import { ControlPlaneError } from "../errors.ts";
import type { BlobStore, StoredBlob } from "./blob-store.ts";
import type { BucketSettings } from "./bucket-settings.ts";
import { inWords, isMissing, isPassing } from "./s3-words.ts";
import { checkingStream, Meter } from "./streams.ts";

/** An upload holds two parts in memory, and has up to 10,000: so 80 GiB is the most that a blob can have. */
const partBytes = 8 * 1024 * 1024;
const partsAtOnce = 2;
const connectTimeoutMs = 5_000;
/** Without a byte. */
const silenceTimeoutMs = 60_000;
const maxAttempts = 5;
const maxSockets = 200;
/** How long a start waits for an endpoint that starts as well. */
const startPatienceMs = 30_000;
const startRetryMs = 500;

/** Throws ControlPlaneError `unavailable`, in words, when the bucket cannot be used; an endpoint that only starts is waited for. */
export async function openBucket(settings: BucketSettings, clock: Clock): Promise<BlobStore> {
  const bucket = new Bucket(settings);
  try {
    await waitUntilReady(bucket, clock);
  } catch (error) {
    await bucket.close();
    throw error;
  }
  return bucket;
}

async function waitUntilReady(bucket: Bucket, clock: Clock): Promise<void> {
  const until = clock.monotonic() + startPatienceMs;
  for (;;) {
    try {
      await bucket.check();
      return;
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (!isPassing(cause) || clock.monotonic() >= until) throw error;
    }
    await clock.sleep(startRetryMs);
  }
}

/** Blobs as objects. They become visible whole: an object is there when its upload is complete. */
class Bucket implements BlobStore {
  readonly #settings: BucketSettings;
  readonly #client: S3Client;

  constructor(settings: BucketSettings) {
    const { endpoint, region, forcePathStyle, credentials } = settings;
    this.#settings = settings;
    this.#client = new S3Client({
      region,
      forcePathStyle,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials
        ? { credentials: { ...credentials, secretAccessKey: credentials.secretAccessKey.reveal() } }
        : {}),
      maxAttempts,
      requestHandler: {
        connectionTimeout: connectTimeoutMs,
        socketTimeout: silenceTimeoutMs,
        httpAgent: { maxSockets },
        httpsAgent: { maxSockets },
      },
      // We have a hash of our own, and many stores that speak S3 do not know the newer checksums.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    });
  }

  /** By a listing, which is needed anyway, and whose refusal says why: the answer to a HEAD has no words. */
  async check(): Promise<void> {
    const { name, prefix } = this.#settings;
    await this.#do(() => this.#client.send(new ListObjectsV2Command({ Bucket: name, Prefix: prefix, MaxKeys: 1 })));
  }

  async put(
    key: string,
    content: Readable,
    { signal, maxBytes = Number.POSITIVE_INFINITY }: { signal: AbortSignal; maxBytes?: number },
  ): Promise<StoredBlob> {
    const meter = new Meter(maxBytes);
    const upload = new Upload({
      client: this.#client,
      params: { ...this.#object(key), Body: meter },
      partSize: partBytes,
      queueSize: partsAtOnce,
    });
    const uploaded = this.#do(() => upload.done()).catch((error: unknown) => {
      meter.destroy(error instanceof Error ? error : new Error("the upload failed", { cause: error }));
      throw error;
    });
    // Whichever fails ends the other one, and both are waited for: then nothing half is left.
    const [fed, stored] = await Promise.allSettled([pipeline(content, meter, { signal }), uploaded]);
    if (fed.status === "rejected") throw fed.reason;
    if (stored.status === "rejected") throw stored.reason;
    return { key, ...meter.summary() };
  }

  async open(blob: StoredBlob, onCorrupt: () => void): Promise<Readable | undefined> {
    const answer = await this.#do(async () => {
      try {
        return await this.#client.send(new GetObjectCommand(this.#object(blob.key)));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
    const source = answer?.Body;
    if (!(source instanceof Readable)) return undefined;
    if (answer?.ContentLength !== blob.sizeBytes) {
      source.destroy();
      return undefined;
    }
    const check = checkingStream(blob, onCorrupt);
    source.on("error", (error) => check.destroy(error));
    check.on("close", () => source.destroy());
    return source.pipe(check);
  }

  async remove(key: string): Promise<void> {
    await this.#do(() => this.#client.send(new DeleteObjectCommand(this.#object(key))));
  }

  async removeBelow(prefix: string): Promise<void> {
    const { name } = this.#settings;
    const { Key: below } = this.#object(`${prefix}/`);
    // What was listed is gone at the next look: so there is no place to go on from.
    for (;;) {
      const page = await this.#do(() => this.#client.send(new ListObjectsV2Command({ Bucket: name, Prefix: below })));
      const objects = (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
      if (objects.length === 0) return;
      const { Errors: [first] = [] } = await this.#do(() =>
        this.#client.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: objects, Quiet: true } })),
      );
      if (first) throw new ControlPlaneError("unavailable", `S3 did not remove ${first.Key}: ${first.Message}`);
    }
  }

  async removeAbandoned(beforeMs: number): Promise<void> {
    const { name, prefix } = this.#settings;
    const uploads = await this.#do(() =>
      this.#client.send(new ListMultipartUploadsCommand({ Bucket: name, Prefix: prefix })),
    );
    for (const { Key, UploadId, Initiated } of uploads.Uploads ?? []) {
      if (!Initiated || Initiated.getTime() >= beforeMs) continue;
      await this.#do(() => this.#client.send(new AbortMultipartUploadCommand({ Bucket: name, Key, UploadId })));
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#settings.name, Key: `${this.#settings.prefix}${key}` };
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw inWords(error, this.#settings);
    }
  }
}
