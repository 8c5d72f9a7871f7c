import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { ChannelViolation } from "../channel/violation.ts";
import { FrameWriter } from "../channel/writer.ts";
import { type BlobCalls, RequestRelay } from "./requests.ts";

test("requests that are given up as soon as they are made do not pile up without end", () => {
  const never = new Promise<never>(() => {});
  const blobs = { hasCache: () => never } as Partial<BlobCalls> as BlobCalls;
  const relay = new RequestRelay({
    blobs,
    writer: new FrameWriter(new PassThrough()),
    signal: new AbortController().signal,
    onFenced: () => {},
    onViolation: () => {},
  });
  const nothing = Buffer.alloc(0);

  const flood = () => {
    for (let id = 1; id <= 10_000; id++) {
      relay.frame({ type: "request", id, request: { op: "has-cache", key: "k" } }, nothing);
      relay.frame({ type: "abort", id, message: "never mind" }, nothing);
    }
  };

  expect(flood).toThrow(ChannelViolation);
});
