import { describe, expect, test } from "vitest";
import { describeAddress, engineAddresses } from "./address.ts";
import { dialectOf, imageIdOf } from "./dialect.ts";
import { errorOfAnswer, errorOfTransport } from "./errors.ts";
import { findAccount, rootAccount } from "./passwd.ts";
import { checkedReference, pullTarget } from "./reference.ts";
import seccomp from "./seccomp.json" with { type: "json" };

describe("engineAddresses", () => {
  test("names the sockets of Docker and Podman, the machine's before the user's", () => {
    expect(engineAddresses({ runtimeDirectory: "/run/user/1" }).map(describeAddress)).toEqual([
      "unix:///var/run/docker.sock",
      "unix:///run/podman/podman.sock",
      "unix:///run/user/1/docker.sock",
      "unix:///run/user/1/podman/podman.sock",
    ]);
  });

  test.each([
    ["unix:///x.sock", { kind: "socket", path: "/x.sock" }],
    ["tcp://host:2375", { kind: "tcp", host: "host", port: 2375 }],
    ["tcp://host", { kind: "tcp", host: "host", port: 2375 }],
    ["https://host", { kind: "tcp", host: "host", port: 2376, tls: {} }],
  ])("takes DOCKER_HOST=%s and nothing else", (dockerHost, address) => {
    expect(engineAddresses({ dockerHost, runtimeDirectory: "/run/user/1" })).toEqual([address]);
  });

  test.each(["host", "ftp://host", "tcp://"])("refuses DOCKER_HOST=%s with what it should be", (dockerHost) => {
    expect(() => engineAddresses({ dockerHost })).toThrow("It must be like unix:///var/run/docker.sock");
  });
});

describe("errors", () => {
  test.each([
    [404, "No such container: x", "other", "not-found"],
    [409, "name in use", "other", "conflict"],
    [403, "no", "other", "forbidden"],
    [500, "boom", "other", "failed"],
    [500, "mkdir /x: no space left on device", "other", "disk-full"],
    [400, 'OCI runtime create failed: exec: "nosuch": executable file not found in $PATH', "start", "not-startable"],
    [400, "No command specified", "start", "not-startable"],
    [500, "standard_init_linux.go:228: exec user process caused: exec format error", "start", "wrong-architecture"],
    [500, "unable to find user nobody2: no matching entries in passwd file", "start", "not-startable"],
    [500, "connection closed: unavailable", "start", "unreachable"],
    [500, "transport is closing: unavailable", "start", "unreachable"],
    [
      500,
      'connection error: desc = "transport: error while dialing: dial unix:///x": unavailable',
      "start",
      "unreachable",
    ],
    [500, "service unavailable in this region", "start", "failed"],
  ] as const)("reads %i «%s» on %s as %s", (status, message, situation, code) => {
    expect(errorOfAnswer({ status, message }, "x", situation).code).toBe(code);
  });

  test("tells a socket that may not be used from one that is not there", () => {
    const denied = Object.assign(new Error("connect EACCES"), { code: "EACCES" });
    const absent = Object.assign(new Error("connect ENOENT"), { code: "ENOENT" });
    expect(errorOfTransport(denied, "x", "unix:///s")).toMatchObject({ code: "forbidden" });
    expect(errorOfTransport(absent, "x", "unix:///s")).toMatchObject({ code: "unreachable" });
  });
});

describe("references", () => {
  test.each([
    ["debian", "docker.io/library/debian", "latest"],
    ["debian:12", "docker.io/library/debian", "12"],
    ["reg.example:5000/a/b_c:x-1", "reg.example:5000/a/b_c", "x-1"],
    [`a@sha256:${"0".repeat(64)}`, "docker.io/library/a", `sha256:${"0".repeat(64)}`],
    [`a:1@sha256:${"0".repeat(64)}`, "docker.io/library/a", `sha256:${"0".repeat(64)}`],
  ])("pulls %s as %s, %s", (reference, name, tag) => {
    expect(pullTarget(reference)).toEqual({ name, tag });
  });

  test("may be the id of an image", () => {
    expect(checkedReference(`sha256:${"a".repeat(64)}`)).toMatch(/^sha256:/);
  });
});

describe("users of an image", () => {
  const files = {
    passwd: "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1001::/home/me:/bin/sh\nodd:x:7:8:::\nbroken\n",
    group: "root:x:0:\nstaff:x:50:me\n",
  };

  test.each([
    ["me", { uid: 1000, gid: 1001, home: "/home/me" }],
    ["1000", { uid: 1000, gid: 1001, home: "/home/me" }],
    ["me:staff", { uid: 1000, gid: 50, home: "/home/me" }],
    ["1000:7", { uid: 1000, gid: 7, home: "/home/me" }],
    ["4242", { uid: 4242, gid: 0, home: "/" }],
    ["odd", { uid: 7, gid: 8, home: "/" }],
    ["nobody", undefined],
    ["me:nogroup", undefined],
    ["broken", undefined],
  ])("knows %s", (user, account) => {
    expect(findAccount(user, files)).toEqual(account);
  });

  test("root needs no file", () => {
    expect(rootAccount("")).toEqual({ uid: 0, gid: 0, home: "/root" });
    expect(rootAccount("me")).toBeUndefined();
  });
});

describe("dialects", () => {
  const version = { Version: "x", Arch: "amd64", Components: [] };

  test("know Podman, and that its create call makes no volumes", () => {
    const podman = { ...version, ApiVersion: "1.41", Components: [{ Name: "Podman Engine" }] };
    expect(dialectOf(podman, "x")).toMatchObject({ kind: "podman", createMakesVolumes: false, apiVersion: "v1.41" });
  });

  test("refuse 1.40 and take 1.41", () => {
    expect(() => dialectOf({ ...version, ApiVersion: "1.40" }, "x")).toThrow("Cofferdam needs 1.41");
    expect(dialectOf({ ...version, ApiVersion: "1.41" }, "x").apiVersion).toBe("v1.41");
  });

  test("give image ids one form", () => {
    expect(imageIdOf("a".repeat(64))).toBe(`sha256:${"a".repeat(64)}`);
  });
});

describe("the seccomp profile", () => {
  const allowed = seccomp.syscalls.filter((rule) => rule.action === "SCMP_ACT_ALLOW");
  const names = new Set(allowed.flatMap((rule) => rule.names));

  test.each(
    "io_uring_setup io_uring_enter keyctl add_key request_key bpf userfaultfd unshare setns mount umount2 pivot_root init_module finit_module kexec_load perf_event_open open_by_handle_at fsopen move_mount socketcall settimeofday reboot swapon".split(
      " ",
    ),
  )("does not allow %s", (name) => {
    expect(names.has(name)).toBe(false);
  });

  test("allows four families of sockets, and names no other", () => {
    const rules = allowed.filter((rule) => rule.names.includes("socket"));
    expect(rules.map((rule) => rule.args)).toEqual(
      [1, 2, 10, 16].map((value) => [{ index: 0, value, op: "SCMP_CMP_EQ" }]),
    );
  });
});
