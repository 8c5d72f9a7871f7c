import type { Row } from "./schema.ts";
import type { Db } from "./store.ts";

/** By name of the image. */
export async function imagePins(db: Db, pipelineId: string): Promise<Record<string, string>> {
  const rows = await db
    .selectFrom("image_pin")
    .select(["reference", "digest"])
    .where("pipeline_id", "=", pipelineId)
    .execute();
  return Object.fromEntries(rows.map(({ reference, digest }) => [reference, digest]));
}

/** The first one stays. Returns what it stands for now. */
export async function putImagePin(db: Db, pin: Row<"image_pin">): Promise<string> {
  await db
    .insertInto("image_pin")
    .values(pin)
    .onConflict((conflict) => conflict.columns(["pipeline_id", "reference"]).doNothing())
    .execute();
  const { digest } = await db
    .selectFrom("image_pin")
    .select("digest")
    .where("pipeline_id", "=", pin.pipeline_id)
    .where("reference", "=", pin.reference)
    .executeTakeFirstOrThrow();
  return digest;
}
