import { describe, expect, test } from "vitest";
import { routeLocally } from "./classes.ts";

const GiB = 1024 ** 3;
const route = routeLocally("local/me", { cpus: 4, memoryBytes: 16 * GiB });

describe("classes of exec", () => {
  test.each([
    ["small", 1, 2],
    ["medium", 2, 4],
    ["large", 4, 8],
    ["arm.medium", 2, 4],
    ["your-namespace/your-resource", 2, 4],
    [undefined, 2, 4],
  ])("%s has %s cores and %s GiB", (name, cpus, memory) => {
    expect(route(name)).toMatchObject({ queue: "local/me", limits: { cpus, memoryBytes: memory * GiB } });
  });

  test("never have more than the machine gives", () => {
    expect(route("2xlarge+").limits).toMatchObject({ cpus: 4, memoryBytes: 12 * GiB });
  });

  test("all come with every limit", () => {
    for (const limit of Object.values(route(undefined).limits)) expect(limit).toBeTruthy();
  });
});
