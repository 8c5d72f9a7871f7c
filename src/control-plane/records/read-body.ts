import type { Readable } from "node:stream";
import { maxRecordsPostBytes } from "../../protocol/agent-api.ts";
import { FrameDecoder, FrameError } from "../../protocol/frames.ts";
import { firstTaskStep, type Lane, maxOutputPieceBytes, RecordFrame } from "../../protocol/records.ts";
import { ControlPlaneError } from "../errors.ts";

export interface ReceivedRecord {
  seq: number;
  record: RecordFrame["record"];
  /** An output record's bytes. */
  body: Buffer;
}

/** The records of one post. Throws ControlPlaneError for whatever is malformed or too big. */
export async function readRecords(body: Readable, lane: Lane): Promise<ReceivedRecord[]> {
  const decoder = new FrameDecoder();
  const records: ReceivedRecord[] = [];
  let bytes = 0;
  // Not destroyed when we stop early: the answer goes over the same socket.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxRecordsPostBytes)
      throw new ControlPlaneError(
        "too-large",
        `a records post may have ${maxRecordsPostBytes} bytes; send it in parts`,
      );
    for (const frame of framesOf(decoder, chunk)) records.push(readRecord(frame, lane, records.at(-1)?.seq));
  }
  if (decoder.pendingBytes > 0) throw new ControlPlaneError("bad-request", "the last frame of the body is cut off");
  return records;
}

function framesOf(decoder: FrameDecoder, chunk: Buffer): { header: unknown; body: Buffer }[] {
  try {
    return [...decoder.push(chunk)];
  } catch (error) {
    if (error instanceof FrameError) throw new ControlPlaneError("bad-request", error.message, { cause: error });
    throw error;
  }
}

function readRecord(frame: { header: unknown; body: Buffer }, lane: Lane, before: number | undefined): ReceivedRecord {
  const parsed = RecordFrame.safeParse(frame.header);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = before === undefined ? "the first record" : `the record after number ${before}`;
    throw new ControlPlaneError("bad-request", `${where} is malformed: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { seq, record } = parsed.data;
  if (before !== undefined && seq !== before + 1)
    throw new ControlPlaneError("bad-request", `record ${seq} follows record ${before}: numbers must have no gaps`);
  if ("step" in record && (lane === "task") !== record.step >= firstTaskStep)
    throw new ControlPlaneError("bad-request", `step ${record.step} is not one of the ${lane} lane's`);
  if (record.type === "output" && record.length > maxOutputPieceBytes)
    throw new ControlPlaneError(
      "bad-request",
      `an output piece of ${record.length} bytes is over ${maxOutputPieceBytes}`,
    );
  return { seq, record, body: frame.body };
}
