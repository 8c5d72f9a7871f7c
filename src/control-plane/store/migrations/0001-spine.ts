import { type Kysely, sql } from "kysely";
import type { Dialectal } from "../database.ts";

export async function up(db: Kysely<unknown>, { bytes }: Dialectal): Promise<void> {
  await access(db);
  await pipelines(db);
  await tasks(db);
  await events(db, bytes);
  await blobs(db);
}

async function access(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("counter")
    .addColumn("name", "text", (c) => c.primaryKey())
    .addColumn("value", "bigint", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("resource_class")
    .addColumn("name", "text", (c) => c.primaryKey())
    .addColumn("description", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("class_token")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("resource_class", "text", (c) => c.notNull().references("resource_class.name").onDelete("cascade"))
    .addColumn("nickname", "text", (c) => c.notNull())
    .addColumn("hash", "text", (c) => c.notNull().unique())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
}

async function pipelines(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("pipeline")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("number", "bigint", (c) => c.notNull().unique())
    .addColumn("project", "text", (c) => c.notNull())
    .addColumn("project_name", "text", (c) => c.notNull())
    .addColumn("source", "text", (c) => c.notNull())
    .addColumn("config_json", "text", (c) => c.notNull())
    .addColumn("vcs_json", "text", (c) => c.notNull())
    .addColumn("trigger_json", "text", (c) => c.notNull())
    .addColumn("event_seq", "bigint", (c) => c.notNull())
    .addColumn("cancel_reason", "text")
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("ended_ms", "bigint")
    .execute();
  await db.schema
    .createTable("workflow")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("position", "integer", (c) => c.notNull())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("job")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("workflow_id", "text", (c) => c.notNull().references("workflow.id").onDelete("cascade"))
    .addColumn("position", "integer", (c) => c.notNull())
    .addColumn("number", "bigint", (c) => c.notNull())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("requires_json", "text", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("reason", "text")
    .addColumn("refusal", "text")
    .addColumn("approved_by", "text")
    .addColumn("template_json", "text")
    .addColumn("artifact_directory", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("workflow_of_pipeline").on("workflow").column("pipeline_id").execute();
  await db.schema.createIndex("job_of_pipeline").on("job").columns(["pipeline_id", "position"]).execute();
}

async function tasks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("task")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("job_id", "text", (c) => c.notNull().references("job.id").onDelete("cascade"))
    .addColumn("node_index", "integer", (c) => c.notNull())
    .addColumn("queue", "text", (c) => c.notNull())
    .addColumn("queue_order", "bigint", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("attempt", "integer", (c) => c.notNull())
    .addColumn("message", "text")
    .addColumn("agent", "text")
    .addColumn("claim_id", "text")
    .addColumn("lease_expires_ms", "bigint")
    .addColumn("cancel_reason", "text")
    .addColumn("fenced", "integer", (c) => c.notNull().defaultTo(0))
    .addColumn("begun", "integer", (c) => c.notNull().defaultTo(0))
    .addColumn("output_bytes", "bigint", (c) => c.notNull().defaultTo(0))
    .addColumn("output_limit", "bigint", (c) => c.notNull())
    .addColumn("output_dropped", "integer", (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.createIndex("task_of_pipeline").on("task").column("pipeline_id").execute();
  await db.schema.createIndex("task_of_job").on("task").column("job_id").execute();
  await db.schema.createIndex("task_in_queue").on("task").columns(["status", "queue", "queue_order"]).execute();
  await db.schema.createIndex("task_by_claim").on("task").column("claim_id").execute();
  await db.schema
    .createTable("task_token")
    .addColumn("hash", "text", (c) => c.primaryKey())
    .addColumn("task_id", "text", (c) => c.notNull().references("task.id").onDelete("cascade"))
    .addColumn("attempt", "integer", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("lane")
    .addColumn("task_id", "text", (c) => c.notNull().references("task.id").onDelete("cascade"))
    .addColumn("attempt", "integer", (c) => c.notNull())
    .addColumn("lane", "text", (c) => c.notNull())
    .addColumn("acked", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("lane_key", ["task_id", "attempt", "lane"])
    .execute();
}

async function events(db: Kysely<unknown>, bytes: Dialectal["bytes"]): Promise<void> {
  await db.schema
    .createTable("event")
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("seq", "bigint", (c) => c.notNull())
    .addColumn("type", "text", (c) => c.notNull())
    .addColumn("body_json", "text")
    .addColumn("job_id", "text")
    .addColumn("task_id", "text")
    .addColumn("attempt", "integer")
    .addColumn("step", "integer")
    .addColumn("stream", "text")
    .addColumn("start_byte", "bigint")
    .addColumn("length_bytes", "integer")
    .addColumn("encoding", "text")
    .addColumn("data", bytes)
    .addPrimaryKeyConstraint("event_key", ["pipeline_id", "seq"])
    .execute();
  await db.schema
    .createIndex("output_of_step")
    .on("event")
    .columns(["task_id", "attempt", "step", "seq"])
    .where(sql.ref("type"), "=", sql.lit("output"))
    .execute();
  await db.schema
    .createIndex("steps_of_task")
    .on("event")
    .columns(["task_id", "attempt", "seq"])
    .where(sql<boolean>`type in ('step-started', 'step-ended')`)
    .execute();
}

async function blobs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("cache")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("project", "text", (c) => c.notNull())
    .addColumn("key", "text", (c) => c.notNull())
    .addColumn("created_order", "bigint", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("blob", "text", (c) => c.notNull())
    .addColumn("size_bytes", "bigint", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addUniqueConstraint("cache_key", ["project", "key"])
    .execute();
  await db.schema
    .createTable("workspace_layer")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("job_id", "text", (c) => c.notNull().references("job.id").onDelete("cascade"))
    .addColumn("task_id", "text", (c) => c.notNull())
    .addColumn("attempt", "integer", (c) => c.notNull())
    .addColumn("step", "integer", (c) => c.notNull())
    .addColumn("blob", "text", (c) => c.notNull())
    .addColumn("size_bytes", "bigint", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addUniqueConstraint("workspace_layer_of_step", ["task_id", "attempt", "step"])
    .execute();
  await db.schema.createIndex("workspace_layer_of_job").on("workspace_layer").column("job_id").execute();
  await db.schema
    .createTable("artifact")
    .addColumn("task_id", "text", (c) => c.notNull().references("task.id").onDelete("cascade"))
    .addColumn("attempt", "integer", (c) => c.notNull())
    .addColumn("path", "text", (c) => c.notNull())
    .addColumn("blob", "text", (c) => c.notNull())
    .addColumn("size_bytes", "bigint", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("artifact_key", ["task_id", "path"])
    .execute();
  await db.schema
    .createTable("test_results")
    .addColumn("task_id", "text", (c) => c.notNull().references("task.id").onDelete("cascade"))
    .addColumn("attempt", "integer", (c) => c.notNull())
    .addColumn("step", "integer", (c) => c.notNull())
    .addColumn("total", "integer", (c) => c.notNull())
    .addColumn("failed", "integer", (c) => c.notNull())
    .addColumn("blob", "text", (c) => c.notNull())
    .addColumn("size_bytes", "bigint", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("test_results_key", ["task_id", "attempt", "step"])
    .execute();
}
