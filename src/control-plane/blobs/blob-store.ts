import type { Readable } from "node:stream";

/**
 * Where big bytes lie: caches, workspaces, artifacts, test results. A key is a relative path with `/`. All calls may run at once, of
 * several processes over one store too. What cannot be used for now (a full disk, an endpoint that is gone) is a ControlPlaneError
 * `unavailable`.
 */
export interface BlobStore {
  /**
   * Stores all of `content` under `key`, whole or not at all; what was there is replaced. Throws ControlPlaneError `too-large`
   * beyond `maxBytes`, `conflict` where a part of the key is a file (a bucket may not mind), and whatever the content's stream fails with.
   */
  put(key: string, content: Readable, options: { signal: AbortSignal; maxBytes?: number }): Promise<StoredBlob>;
  /**
   * The bytes of a blob; undefined when it is gone or its size is another one. The stream fails at its end when the bytes are not
   * those that were stored; `onCorrupt` is called before that.
   */
  open(blob: StoredBlob, onCorrupt: () => void): Promise<Readable | undefined>;
  /** What is gone is fine. */
  remove(key: string): Promise<void>;
  /** All whose keys begin with this and a `/`. */
  removeBelow(prefix: string): Promise<void>;
  /** Half of a blob whose writer was killed goes, where nothing was written since `beforeMs`. */
  removeAbandoned(beforeMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface StoredBlob {
  key: string;
  sizeBytes: number;
  /** In hex. */
  sha256: string;
}
