import { expect, test } from "vitest";
import { CopiedAnswer, copyBody } from "./copy-body.ts";

const id = "4f".repeat(32);
const oldImage = {
  Env: ["PATH=/usr/bin", "COFFERDAM_TASK_AGENT_IMAGE=cofferdam/task-agent:1"],
  Entrypoint: ["/node", "old.mjs"],
  Labels: { version: "1", role: "launch-agent" },
  User: "0:0",
};

function container(changes: { Config?: object; HostConfig?: object; Networks?: object } = {}): CopiedAnswer {
  return CopiedAnswer.parse({
    Id: id,
    Name: "/agent",
    Image: "sha256:old",
    State: { Running: true },
    Config: {
      Image: "cofferdam/launch-agent:1",
      Hostname: id.slice(0, 12),
      ...oldImage,
      Env: [...oldImage.Env, "TOKEN_FILE=/run/token"],
      Labels: { ...oldImage.Labels, "com.docker.compose.project": "cofferdam" },
      ...changes.Config,
    },
    HostConfig: {
      Binds: ["/var/run/docker.sock:/var/run/docker.sock"],
      NetworkMode: "front",
      RestartPolicy: { Name: "always" },
      CapDrop: ["ALL"],
      ReadonlyRootfs: true,
      ...changes.HostConfig,
    },
    NetworkSettings: {
      Networks: changes.Networks ?? {
        back: { Aliases: [id.slice(0, 12), "agents"], IPAddress: "172.18.0.4", EndpointID: "x" },
        front: { Aliases: null, IPAMConfig: null, IPAddress: "172.19.0.4" },
      },
    },
  });
}

function copy(changes: Parameters<typeof container>[0] = {}) {
  return copyBody({
    container: container(changes),
    oldImage,
    image: "new@sha256:1",
    environment: { SUCCESSOR_OF: id },
  });
}

test("what the old image said is left to the new one, and what a person said goes on", () => {
  const { body } = copy();

  expect(body).toMatchObject({
    Image: "new@sha256:1",
    Env: ["TOKEN_FILE=/run/token", `SUCCESSOR_OF=${id}`],
    Labels: { "com.docker.compose.project": "cofferdam" },
  });
  for (const key of ["Entrypoint", "User", "Hostname"]) expect(body).not.toHaveProperty(key);
});

test("a command, a user and a host name that a person chose stay", () => {
  const chosen = { Entrypoint: ["/mine"], User: "1000", Hostname: "builder" };

  expect(copy({ Config: chosen }).body).toMatchObject(chosen);
});

test("mounts and walls go on; the restart policy comes later", () => {
  expect(copy().body).toMatchObject({
    HostConfig: {
      Binds: ["/var/run/docker.sock:/var/run/docker.sock"],
      CapDrop: ["ALL"],
      ReadonlyRootfs: true,
      RestartPolicy: { Name: "no" },
    },
  });
});

test("its own network comes first, and of no network the old one's address", () => {
  const { body, networks } = copy();

  expect(body).toMatchObject({ NetworkingConfig: { EndpointsConfig: { front: {} } } });
  expect(networks).toEqual({ back: { Aliases: ["agents"] } });
  expect(JSON.stringify({ body, networks })).not.toMatch(/172\.|EndpointID/);
});

test.each(["host", "none", "container:other"])("network mode %s has no networks to join", (NetworkMode) => {
  const { body, networks } = copy({ HostConfig: { NetworkMode } });

  expect(body).not.toHaveProperty("NetworkingConfig");
  expect(networks).toEqual({});
});
