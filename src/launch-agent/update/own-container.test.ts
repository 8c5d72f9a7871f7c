import { expect, test } from "vitest";
import type { OwnContainer, Replacer } from "../../engine/replacer.ts";
import { findReplaceable, ownContainerId } from "./own-container.ts";

const id = "8d6d44e03e18ab33c8bda47615637b556039817e91438fdc5d3076a271b4f6de";
const docker = `123 105 254:0 /var/lib/docker/containers/${id}/hostname /etc/hostname ro,relatime - ext4 /dev/vda rw\n`;
const podman = `9 1 0:24 /containers/storage/overlay-containers/${id}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n`;
const never = new AbortController().signal;

const own: OwnContainer = {
  id,
  name: "agent",
  running: true,
  imageReference: "cofferdam/launch-agent:1",
  imageId: "sha256:1",
  labels: { "dev.cofferdam.role": "launch-agent" },
  restartPolicy: "always",
  publishesPorts: false,
};

function replacer(container: OwnContainer | undefined): Replacer {
  const refuse = async (): Promise<never> => await Promise.reject(new Error("not asked for"));
  return {
    look: async () => await Promise.resolve(container),
    copy: refuse,
    stop: refuse,
    rename: refuse,
    setRestartPolicy: refuse,
  };
}

test.each([
  ["Docker", docker, id],
  ["Podman", podman, id],
  ["no engine", "24 1 254:0 / / rw - ext4 /dev/vda rw\n", undefined],
])("the file at /etc/hostname tells the container's id on %s", (_, mountinfo, expected) => {
  expect(ownContainerId(mountinfo)).toBe(expected);
});

test("a container of our image can be replaced", async () => {
  expect(await findReplaceable(replacer(own), docker, never)).toEqual({ own });
});

test.each([
  ["of another image", { ...own, labels: {} }, /not of the launch agent's image/],
  ["of a Swarm", { ...own, labels: { ...own.labels, "com.docker.swarm.service.id": "x" } }, /docker service update/],
  ["with a published port", { ...own, publishesPorts: true }, /publishes a port/],
  ["started by the id of an image", { ...own, imageReference: `sha256:${id}` }, /names no repository/],
  ["unknown to the engine", undefined, /does not run in a container of this engine/],
])("one %s cannot, and the reason says why", async (_, container, reason) => {
  const found = await findReplaceable(replacer(container), docker, never);

  expect(found).toEqual({ problem: expect.stringMatching(reason) });
});
