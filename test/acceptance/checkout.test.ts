import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StartedTestContainer } from "testcontainers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gitSource } from "../../src/control-plane/vcs/git-source.ts";
import { describeAddress } from "../../src/engine/docker/index.ts";
import { addressUnderTest } from "../docker/engine-under-test.ts";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { oneJob, play } from "./support/stage.ts";

leavesNothingBehind();

const serve = `set -e
export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
git init -q -b main /tmp/work && cd /tmp/work
echo one > file.txt && printf '#!/bin/sh\\necho ran\\n' > run.sh && chmod 755 run.sh && ln -s file.txt link
git add . && git commit -qm first && git tag v1
echo two > file.txt && git commit -qam second
git checkout -qb feature && echo three > file.txt && git commit -qam third
git clone -q --bare /tmp/work /tmp/srv/project.git
exec git daemon --verbose --export-all --reuseaddr --base-path=/tmp/srv`;

let server: StartedTestContainer;
let url: string;
let directory: string;

beforeAll(async () => {
  // Its reaper is an image of its own, which needs a registry; the leak check stands in for it.
  process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
  process.env["DOCKER_HOST"] = describeAddress(await addressUnderTest());
  const { GenericContainer, Wait } = await import("testcontainers");
  server = await new GenericContainer("cofferdam/task-agent:dev")
    .withEntrypoint(["/bin/sh", "-c"])
    .withCommand([serve])
    .withExposedPorts(9418)
    .withWaitStrategy(Wait.forLogMessage(/Ready to rumble/))
    .withStartupTimeout(150_000)
    .start();
  url = `git://${server.getHost()}:${server.getMappedPort(9418)}/project.git`;
  directory = mkdtempSync(join(tmpdir(), "cofferdam-mirrors-"));
});

afterAll(async () => {
  await server?.stop({ remove: true, removeVolumes: true });
  if (directory) rmSync(directory, { recursive: true, force: true });
});

const look = [
  "checkout",
  "run: cat link; ./run.sh; git log --format=%s; git status --short --branch; git config remote.origin.url",
];

describe("a checkout from a git remote, in a container without a network", () => {
  test.each([
    ["of a branch", { branch: "main" }, ["two", "ran", "second", "first", "## main"]],
    ["of another branch", { branch: "feature" }, ["three", "ran", "third", "second", "first", "## feature"]],
    ["of a tag", { tag: "v1" }, ["one", "ran", "first", "## HEAD (no branch)"]],
  ])("%s has the files, their modes and links, and the history", async (_name, vcs, lines) => {
    const { story } = await play(forTagsToo(oneJob("machine: true", look)), {
      sources: gitSource({ directory }),
      vcs: { ...vcs, url },
    });

    expect(story.job("build")?.messages).toEqual([]);
    const output = story.job("build")?.output ?? "";
    expect(output.slice(output.indexOf(`${lines[0]}\nran`))).toMatch(
      new RegExp(`^${[...lines.map(escape), escape(url)].join("(\\.\\.\\.\\S+)?\\n")}\\n$`),
    );
  });

  test("fails in words, and at once, where there is no such branch", async () => {
    const { story } = await play(oneJob("machine: true", look), {
      sources: gitSource({ directory }),
      vcs: { branch: "nope", url },
    });

    expect(story.job("build")?.status).toBe("failed");
    expect(story.job("build")?.messages.join("\n")).toContain(`there is no refs/heads/nope in ${url}`);
  });
});

function forTagsToo(config: string): string {
  return config.replace("jobs: [build]", "jobs: [build: {filters: {tags: {only: /.*/}}}]");
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
