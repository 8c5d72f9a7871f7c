import type { WatchEvent } from "../../../protocol/watch.ts";
import type { PipelineModel } from "../model.ts";

/** One way to show a run. Gets every event after the model has taken it in. */
export interface View {
  event(event: WatchEvent, model: PipelineModel): void;
  /** Words that belong to no job: what is being waited for, what is being cleaned up. */
  notice(text: string): void;
  /** The run is over; nothing moves any more. */
  end(model: PipelineModel, facts: RunFacts): Promise<void>;
}

/** What the end of a run tells beside the model. */
export interface RunFacts {
  artifactsDirectory: string | undefined;
  /** All of a step's stored output. */
  stepOutput: (taskId: string, step: number) => AsyncIterable<Buffer>;
}

/** Where a view writes to. */
export interface TextSink {
  write(text: string): unknown;
}
