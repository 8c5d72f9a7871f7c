import { expect, test } from "vitest";
import { Secret } from "../../lib/secret.ts";
import { classesOn, ownerLabels, scopeOf } from "./owner.ts";

const served = (token: string, name?: string) => ({
  token: new Secret(token),
  ...(name === undefined ? {} : { name }),
});

test("labels say the name, the control plane and all classes, in whichever order these are given", () => {
  const scope = scopeOf("https://cofferdam.example");
  const one = ownerLabels({ name: "host7", scope, classes: [served("1", "ns/b"), served("2", "ns/a")] });
  const other = ownerLabels({ name: "host7", scope, classes: [served("2", "ns/a"), served("1", "ns/b")] });

  expect(one).toEqual({
    "dev.cofferdam.agent": "host7",
    "dev.cofferdam.scope": scope,
    "dev.cofferdam.classes": "ns/a,ns/b",
  });
  expect(other).toEqual(one);
  expect(classesOn(one)).toEqual(["ns/a", "ns/b"]);
});

test("a class that nobody has named goes by its token, which labels do not say", () => {
  const [word] = classesOn(ownerLabels({ name: "host7", classes: [served("a-secret-token")] }));

  expect(word).toMatch(/^#[0-9a-f]{12}$/);
  expect(classesOn(ownerLabels({ name: "host8", classes: [served("a-secret-token")] }))).toEqual([word]);
  expect(classesOn(ownerLabels({ name: "host7", classes: [served("another-token")] }))).not.toEqual([word]);
});

test("one control plane is one, however its address is written", () => {
  const scope = scopeOf("https://cofferdam.example");

  expect(scopeOf("https://Cofferdam.example:443/")).toBe(scope);
  expect(scopeOf("https://cofferdam.example/staging")).not.toBe(scope);
  expect(scopeOf("http://cofferdam.example")).not.toBe(scope);
});
