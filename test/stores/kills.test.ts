import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { type Held, piece, started } from "../fakes/fake-agent.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../fakes/temporary-control-plane.ts";
import { storeEnvironmentOf } from "../fakes/test-store.ts";
import { ServerProcess } from "./support/server-process.ts";

/** How often the server is killed. More of it: COFFERDAM_TEST_KILLS=200. */
const kills = Number(process.env["COFFERDAM_TEST_KILLS"] ?? 3);
const jobs = ["a", "b", "c", "d"];
const step = 100;
const lineBytes = 8;

/** Says lines one after the other, each until it is acknowledged; a line that was acknowledged is never said again. */
class Teller {
  acked = 0;
  readonly #held: Held;

  constructor(held: Held) {
    this.#held = held;
  }

  get text(): string {
    return Array.from({ length: this.acked - 1 }, (_unused, index) => line(index)).join("");
  }

  async tellUntilKilled({ agent }: ServerProcess): Promise<void> {
    const held = this.#held.over(agent);
    for (;;) {
      const record = this.acked === 0 ? started(step) : piece(step, (this.acked - 1) * lineBytes, line(this.acked - 1));
      const answer = await held.sendFrom(this.acked + 1, [record]).catch(() => undefined);
      if (!answer) return;
      // A gap would be answered 409: something that was acknowledged is not there.
      if (answer.status !== 200) throw new Error(`after ${this.acked}: ${answer.bytes.toString()}`);
      this.acked += 1;
    }
  }
}

function line(index: number): string {
  return `${String(index).padStart(lineBytes - 1, "0")}\n`;
}

describe.each([
  ["SQLite", true],
  ["PostgreSQL", false],
])("on %s", (_name, onSqlite) => {
  test(`nothing that was acknowledged is lost to ${kills} × kill -9 under load`, {
    timeout: 60_000 + kills * 10_000,
  }, async () => {
    await using plane = await temporaryControlPlane({ onSqlite });
    const data = join(plane.directory, "data");
    const environment = onSqlite ? { COFFERDAM_DATA_DIRECTORY: data } : await storeEnvironmentOf(data);
    const { id } = await plane.start(configOf(jobs));
    const held = await Promise.all(jobs.map(async () => await plane.agent.claim(plane.token)));
    const tellers = held.flatMap((task) => (task ? [new Teller(task)] : []));

    for (let round = 0; round < kills; round++) {
      await using server = await ServerProcess.start(environment);
      const telling = tellers.map((teller) => teller.tellUntilKilled(server));
      await systemClock.sleep(Math.random() * 400);
      await server.kill();
      await Promise.all(telling);
      expect(onSqlite ? integrityOf(data) : ["ok"]).toEqual(["ok"]);
    }
    for (const [index, teller] of tellers.entries()) {
      // What was on its way when the server died may be stored or not: nobody was told.
      const last = await held[index]?.sendFrom(teller.acked + 1, [
        teller.acked === 0 ? started(step) : piece(step, (teller.acked - 1) * lineBytes, line(teller.acked - 1)),
      ]);
      expect(last).toMatchObject({ status: 200, json: { acked: teller.acked + 1 } });
      teller.acked += 1;
      await held[index]?.sendFrom(teller.acked + 1, [{ type: "task-ended", status: "success", atMs: 1 }]);
    }

    const story = await storyOf(plane.controlPlane, id);
    expect(Object.values(jobEnds(story))).toEqual(jobs.map(() => "success"));
    for (const [index, teller] of tellers.entries()) {
      const pieces = story.filter((event) => event.type === "output" && event.taskId === held[index]?.task.id);
      const output = pieces.map((event) => ("data" in event ? Buffer.from(event.data, "base64").toString() : ""));
      expect(output.join("")).toBe(teller.text);
    }
  });
});

function integrityOf(data: string): unknown[] {
  const database = new DatabaseSync(join(data, "cofferdam.db"));
  try {
    return database
      .prepare("pragma integrity_check")
      .all()
      .map((row) => row["integrity_check"]);
  } finally {
    database.close();
  }
}
