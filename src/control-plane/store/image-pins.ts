import type { Row } from "./schema.ts";
import type { Db } from "./store.ts";

/** By name of the image, of these classes; `""` is what counts for all. */
export async function imagePins(
  db: Db,
  { pipelineId, classes }: { pipelineId: string; classes: readonly string[] },
): Promise<Record<string, string>> {
  const rows = await db
    .selectFrom("image_pin")
    .select(["reference", "digest"])
    .where("pipeline_id", "=", pipelineId)
    .where("resource_class", "in", classes)
    // A class's own after those of all.
    .orderBy("resource_class")
    .execute();
  return Object.fromEntries(rows.map(({ reference, digest }) => [reference, digest]));
}

/** The first one stays. Returns what it stands for now. */
export async function putImagePin(db: Db, pin: Row<"image_pin">): Promise<string> {
  await db
    .insertInto("image_pin")
    .values(pin)
    .onConflict((conflict) => conflict.columns(["pipeline_id", "resource_class", "reference"]).doNothing())
    .execute();
  const { digest } = await db
    .selectFrom("image_pin")
    .select("digest")
    .where("pipeline_id", "=", pin.pipeline_id)
    .where("resource_class", "=", pin.resource_class)
    .where("reference", "=", pin.reference)
    .executeTakeFirstOrThrow();
  return digest;
}
