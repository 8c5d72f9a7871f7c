import { expect, test } from "vitest";
import { encodeFrame, FrameDecoder } from "../../protocol/frames.ts";
import type { RecordsAnswer } from "../api/client.ts";
import { RecordRelay } from "./records.ts";

interface Post {
  seqs: number[];
  answer: (answer: RecordsAnswer | Error) => void;
}

function open(gather?: (signal: AbortSignal) => Promise<void>) {
  const posts: Post[] = [];
  const acks: number[] = [];
  const failures: unknown[] = [];
  let wake = () => {};
  const relay = new RecordRelay({
    post: async (frames) => {
      const { promise, resolve, reject } = Promise.withResolvers<RecordsAnswer>();
      const seqs = [...new FrameDecoder().push(frames)].map(({ header }) => (header as { seq: number }).seq);
      posts.push({ seqs, answer: (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)) });
      wake();
      return await promise;
    },
    onAck: (seq) => acks.push(seq),
    onFailure: (error) => failures.push(error),
    ...(gather ? { gather } : {}),
  });
  const posted = async (count: number): Promise<Post> => {
    while (posts.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const post = posts[count - 1];
    if (!post) throw new Error("no post");
    return post;
  };
  return { relay, posts, acks, failures, posted };
}

function push(relay: RecordRelay, seq: number, bytes = 1): void {
  relay.push(seq, encodeFrame({ type: "record", seq }, Buffer.alloc(bytes)));
}

test("posts at once when nothing is under way, and gathers what comes meanwhile", async () => {
  const { relay, posted, acks } = open();

  push(relay, 1);
  const first = await posted(1);
  push(relay, 2);
  push(relay, 3);
  expect(first.seqs).toEqual([1]);
  first.answer({ acked: 1, gap: false });
  const second = await posted(2);
  second.answer({ acked: 3, gap: false });
  await relay.flushed();

  expect(second.seqs).toEqual([2, 3]);
  expect(acks).toEqual([1, 3]);
});

test("sends again what a gap says is missing", async () => {
  const { relay, posted } = open();
  push(relay, 1);
  push(relay, 2);
  push(relay, 3);

  (await posted(1)).answer({ acked: 1, gap: true });

  expect((await posted(2)).seqs).toEqual([2, 3]);
});

test("fails when the control plane lost what it had acknowledged", async () => {
  const { relay, posted, failures } = open();
  push(relay, 1);
  (await posted(1)).answer({ acked: 1, gap: false });
  await relay.flushed();

  push(relay, 2);
  (await posted(2)).answer({ acked: 0, gap: true });
  await relay.flushed();

  expect(String(failures)).toContain("has records up to 0, and this agent holds them from 2 on");
});

test("closes its window while a slow control plane is behind, and no post is over the limit", async () => {
  const { relay, posted, posts } = open();
  for (let seq = 1; seq <= 12; seq++) push(relay, seq, 1_000_000);

  const full = relay.full();
  expect(full).toBeInstanceOf(Promise);
  (await posted(1)).answer({ acked: 8, gap: false });
  await full;

  expect(relay.full()).toBeUndefined();
  expect(posts[0]?.seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("drops what comes after a failure, and keeps nobody waiting", async () => {
  const { relay, posted, failures, posts } = open();
  for (let seq = 1; seq <= 12; seq++) push(relay, seq, 1_000_000);
  const full = relay.full();

  (await posted(1)).answer(new Error("refused"));
  await full;
  await relay.flushed();
  push(relay, 13);

  expect(failures).toHaveLength(1);
  expect(posts).toHaveLength(1);
});

test("gathers before it posts where others are not to wait behind it, until somebody waits for it", async () => {
  const stopped: AbortSignal[] = [];
  const { relay, posts, posted } = open(async (signal) => {
    stopped.push(signal);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  });

  push(relay, 1);
  await new Promise((resolve) => setImmediate(resolve));
  push(relay, 2);
  expect(posts).toEqual([]);
  const flushed = relay.flushed();
  const first = await posted(1);
  push(relay, 3);
  first.answer({ acked: 2, gap: false });
  const second = await posted(2);
  second.answer({ acked: 3, gap: false });
  await flushed;

  expect([first.seqs, second.seqs]).toEqual([[1, 2], [3]]);
  expect(stopped).toHaveLength(1);
});
