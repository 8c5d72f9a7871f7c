import type { Context } from "../context.ts";
import type { NewPipeline } from "../control-plane.ts";
import { replaceSchedules } from "../store/schedules.ts";
import type { NewRow, Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { referenceOf } from "./plan.ts";
import { cronsOn, nextOccurrence } from "./schedule.ts";

/** All that the pipelines of a schedule are made with, but for their workflow. */
type Remembered = Omit<NewPipeline, "id" | "number" | "contexts" | "only">;

/**
 * Keeps what starts the scheduled workflows of a branch, in place of what its pipeline before had. Of contexts only the names are
 * kept: the values were lent to this one pipeline.
 */
export async function rememberSchedules(
  { clock }: Pick<Context, "clock">,
  unit: Unit,
  wanted: NewPipeline,
): Promise<void> {
  const { project, vcs, config } = wanted;
  if (vcs.branch === undefined || vcs.tag !== undefined) return;
  const key = { project: project.slug, branch: vcs.branch };
  const pipeline_json = JSON.stringify(withoutSecretsOfOthers(wanted));
  const rows: NewRow<"schedule">[] = [];
  // What a setup config goes on with is known when it runs; it has no schedules of its own.
  for (const [workflow, { triggers }] of config.setup ? [] : Object.entries(config.workflows)) {
    for (const cron of cronsOn(triggers, referenceOf(vcs)))
      rows.push({ ...key, workflow, cron, due_ms: nextOccurrence({ cron }, clock.now()) ?? null, pipeline_json });
  }
  await replaceSchedules(unit.db, key, rows);
}

function withoutSecretsOfOthers({
  id: _id,
  number: _number,
  contexts,
  only: _only,
  ...wanted
}: NewPipeline): Remembered {
  const { branch, url } = wanted.vcs;
  const names = [...Object.keys(contexts ?? {}), ...(wanted.contextsNotKept ?? [])];
  return {
    ...wanted,
    // The newest revision is to be found when it runs.
    vcs: { ...(branch === undefined ? {} : { branch }), ...(url === undefined ? {} : { url }) },
    trigger: { type: "scheduled_pipeline", actor: wanted.trigger.actor },
    contextsNotKept: [...new Set(names)],
  };
}

/** The pipeline of one occurrence. */
export function scheduledPipeline({ workflow, pipeline_json }: Row<"schedule">): NewPipeline {
  return { ...(JSON.parse(pipeline_json) as Remembered), only: { workflow } };
}
