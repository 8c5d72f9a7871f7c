import type { Clock } from "../../lib/clock.ts";
import type { StepOutcome } from "../../protocol/records.ts";
import type { Work } from "../../protocol/task.ts";
import type { Channel } from "../channel/channel.ts";
import type { StepOutput } from "../output/output.ts";
import type { PipeSource } from "../process/pipes.ts";
import type { Pressure } from "../spool/pressure.ts";
import type { Places } from "../workspace/places.ts";

/** What every step has around it. */
export interface StepContext {
  work: Work;
  /** The step's number in its lane. */
  number: number;
  environment: Readonly<Record<string, string>>;
  places: Places;
  channel: Channel;
  output: StepOutput;
  pressure: Pressure;
  pipes: PipeSource;
  clock: Clock;
  /** The step is to end now; the reason is an Interrupt. */
  signal: AbortSignal;
  /** No more grace for processes. */
  hurry: AbortSignal;
}

/** Why a step was told to end. */
export class Interrupt extends Error {
  override name = "Interrupt";
  readonly outcome: StepOutcome;
  constructor(outcome: StepOutcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

/** The step fails with this message. It says what, where, and what to do next. */
export class StepFailure extends Error {
  override name = "StepFailure";
}

export const succeeded: StepOutcome = { kind: "succeeded" };
