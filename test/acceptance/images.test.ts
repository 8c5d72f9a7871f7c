import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeAddress } from "../../src/engine/docker/index.ts";
import { addressUnderTest } from "../docker/engine-under-test.ts";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { sharedTree } from "./support/fixtures.ts";
import { oneJob, play, stepsOf } from "./support/stage.ts";

leavesNothingBehind();

const everything = [
  "checkout",
  "restore_cache: {keys: [nothing-]}",
  'run: mkdir -p out && cat hello.txt > out/hello.txt && echo "$(id -u) $HOME $PWD"',
  "save_cache: {key: k-1, paths: [out]}",
  "persist_to_workspace: {root: ., paths: [out]}",
  "attach_workspace: {at: /tmp/attached}",
  "store_artifacts: {path: out}",
];

const tree = await sharedTree({ "hello.txt": "hello\n" });

const docker = (image: string, more = ""): string => `docker: [{image: "${image}"${more}}]`;

describe("every step works in an image", () => {
  test.each([
    ["of Debian", docker("debian:bookworm-slim"), "0 /root /root/project"],
    ["of the task agent", "machine: true", "1001 /home/circleci /home/circleci/project"],
    ["with nothing but busybox", docker("busybox:latest"), "0 /root /root/project"],
    ["whose only libc is musl", docker("cofferdam/test-musl:dev"), "0 /root /root/project"],
    ["with a user of its own", docker("cofferdam/test-user:dev"), "2000 /home/builder /home/builder/project"],
    [
      "whose user the config changes",
      docker("debian:bookworm-slim", ", user: www-data"),
      "33 /var/www /var/www/project",
    ],
  ])("%s", async (_name, executor, who) => {
    const { story } = await play(oneJob(executor, everything), { tree });

    expect(story.job("build")?.messages).toEqual([]);
    expect(story.job("build")?.status).toBe("success");
    expect(story.job("build")?.output).toContain(`${who}\n`);
    expect(story.job("build")?.artifacts).toEqual(["0/out/hello.txt"]);
  });

  test("that has an entrypoint, which is not run", async () => {
    const { story } = await play(oneJob(docker("cofferdam/test-entrypoint:dev"), ["run: echo only the step"]));

    expect(story.job("build")?.status).toBe("success");
    expect(story.job("build")?.output).toContain("only the step\n");
    expect(story.job("build")?.output).not.toContain("the entrypoint of the image ran");
  });
});

describe("what an image lacks is told in words:", () => {
  test("a shell, though all but commands work without one", async () => {
    const steps = ["checkout", "run: echo x"];

    const { story } = await play(oneJob(docker("cofferdam/test-no-shell:dev"), steps), { tree });

    expect(stepsOf(story, "build")).toEqual({ "Checkout code": "succeeded", "echo x": "failed" });
    expect(story.job("build")?.status).toBe("failed");
    expect(story.job("build")?.messages.join("\n")).toContain("neither /bin/bash nor /bin/sh");
  });

  test("the shell that the step names", async () => {
    const step = "run: {shell: /bin/zsh -e, command: echo x, name: zsh}";

    const { story } = await play(oneJob(docker("busybox:latest"), [step]));

    expect(story.job("build")?.messages.join("\n")).toContain("The shell /bin/zsh does not exist in this image");
  });

  test("the user that the config names", async () => {
    const { story } = await play(oneJob(docker("busybox:latest", ", user: nobody-here"), ["run: echo x"]));

    expect(story.job("build")?.status).toBe("failed");
    expect(story.job("build")?.messages.join("\n")).toContain("nobody-here");
  });

  test("the architecture of this machine", async () => {
    const tag = "cofferdam/test-foreign:dev";
    const foreign = process.arch === "arm64" ? "amd64" : "arm64";
    await dockerClient(["load"], foreignImage(tag, foreign));
    try {
      const { story } = await play(oneJob(docker(tag), ["run: echo x"]));

      expect(story.job("build")?.status).toBe("failed");
      expect(story.job("build")?.messages.join("\n")).toMatch(
        new RegExp(`${tag} is built for ${foreign}.*this host is`),
      );
    } finally {
      await dockerClient(["rmi", tag]);
    }
  });
});

async function dockerClient(args: string[], input: Uint8Array = Buffer.alloc(0)): Promise<void> {
  const DOCKER_HOST = describeAddress(await addressUnderTest());
  execFileSync("docker", args, { env: { ...process.env, DOCKER_HOST }, stdio: "pipe", input });
}

/** An image as `docker save` writes it, with one empty layer. */
function foreignImage(tag: string, architecture: string): Buffer {
  const layer = Buffer.alloc(10_240);
  const digest = createHash("sha256").update(layer).digest("hex");
  const config = { architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] } };
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-image-"));
  try {
    writeFileSync(join(directory, "layer.tar"), layer);
    writeFileSync(join(directory, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }];
    writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
    return execFileSync("tar", ["-C", directory, "-c", "manifest.json", "config.json", "layer.tar"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
