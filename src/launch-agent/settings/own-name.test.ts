import { expect, test } from "vitest";
import { containerId, ownName } from "./own-name.ts";

const id = "0123456789abcdef".repeat(4);
const mountInfo = `22 1 8:1 / / rw - ext4 /dev/sda rw
653 640 254:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw
`;

test("is the container's id where the engine made it the host's name, too", () => {
  expect(ownName({ hostname: id.slice(0, 12), mountInfo })).toBe("0123456789ab");
});

test("is another one for each container of a host whose name they share", () => {
  expect(ownName({ hostname: "build-7", mountInfo })).toBe("build-7-0123456789ab");
});

test("is the host's name outside of a container, and always legal", () => {
  expect(ownName({ hostname: "bücher/host", mountInfo: "" })).toBe("b-cher-host");
  expect(ownName({ hostname: "", mountInfo: "" })).toBe("cofferdam");
  expect(ownName({ hostname: "x".repeat(300), mountInfo })).toMatch(/^x{187}-0123456789ab$/);
});

test("finds the container in the mounts of Podman, too", () => {
  const podman = `702 701 0:55 /containers/storage/overlay-containers/${id}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw`;

  expect(containerId(podman)).toBe(id);
});
