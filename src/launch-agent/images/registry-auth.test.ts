import { inspect } from "node:util";
import { expect, test } from "vitest";
import { readImageName } from "../../engine/image-name.ts";
import { readDockerAuthConfig } from "./registry-auth.ts";

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function authOf(auths: object) {
  const read = readDockerAuthConfig(JSON.stringify({ auths }));
  if ("problem" in read) throw new Error(read.problem);
  return read.auth;
}

test.each([
  ["https://index.docker.io/v1/", "debian"],
  ["docker.io", "team/app"],
  ["registry.example:5000", "registry.example:5000/app"],
  ["https://registry.example/v2/", "registry.example/a/b"],
  ["Registry.Example", "registry.example/a"],
  ["registry.example/team", "registry.example/team/app"],
])("credentials for %s are shown for %s", (key, image) => {
  const auth = authOf({ [key]: { auth: base64("me:p:w") } });

  expect(auth.find(readImageName(image))).toEqual({ username: "me", password: "p:w" });
});

test.each([
  ["docker.io", "registry.example/docker.io/x"],
  ["registry.example", "registry.example.evil/x"],
  ["registry.example", "registry.example:5000/x"],
  ["registry.example/team", "registry.example/teammate/app"],
])("credentials for %s are not shown for %s", (key, image) => {
  expect(authOf({ [key]: { username: "me", password: "p" } }).find(readImageName(image))).toBeUndefined();
});

test("the closest place counts", () => {
  const auth = authOf({
    "registry.example": { username: "all", password: "1" },
    "registry.example/team": { username: "team", password: "2" },
  });

  expect(auth.find(readImageName("registry.example/team/app"))?.username).toBe("team");
  expect(auth.find(readImageName("registry.example/other"))?.username).toBe("all");
});

test.each([
  ["hunter2", "config.json"],
  ['{"auths":{"x":{"auth":7}}}', "config.json"],
  ['{"credsStore":"desktop"}', "credential helpers"],
  ['{"auths":{"registry.example":{"identitytoken":"hunter2"}}}', "registry.example"],
  [`{"auths":{"registry.example":{"auth":"${base64("hunter2")}"}}}`, "registry.example"],
])("%s is refused in words that do not repeat it", (text, words) => {
  const read = readDockerAuthConfig(text);

  expect(read).toEqual({ problem: expect.stringContaining(words) as string });
  expect(JSON.stringify(read)).not.toContain("hunter2");
});

test("does not print itself", () => {
  const auth = authOf({ "docker.io": { username: "me", password: "hunter2" } });

  expect(inspect(auth, { depth: 9 }) + JSON.stringify(auth)).not.toContain("hunter2");
});
