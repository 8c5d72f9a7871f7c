import { expect, test } from "vitest";
import { firstTaskStep } from "../../protocol/records.ts";
import { ChannelViolation } from "../channel/violation.ts";
import { RecordRelay } from "./records.ts";
import { TaskLane } from "./task-lane.ts";

test("steps without end are no way around the limit of output", () => {
  let relayed = 0;
  const relay = new RecordRelay({ post: () => new Promise(() => {}), onAck: () => {}, onFailure: () => {} });
  relay.push = () => void relayed++;
  const lane = new TaskLane(relay);
  const name = "n".repeat(4096);

  const flood = () => {
    for (let seq = 1; seq < 100_000; seq++)
      void lane.record(
        seq,
        { type: "step-started", step: firstTaskStep + seq, name, kind: "run", atMs: 0 },
        Buffer.alloc(0),
      );
  };

  expect(flood).toThrow(ChannelViolation);
  expect(relayed).toBeGreaterThan(5000);
});
