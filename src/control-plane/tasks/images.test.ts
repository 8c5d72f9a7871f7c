import { expect, test } from "vitest";
import { readImages, shellWords } from "./images.ts";

test("parts a command line as a shell would", () => {
  expect(shellWords(`mysqld --sql-mode="A, B" 'it''s' a\\ b ""`)).toEqual([
    "mysqld",
    "--sql-mode=A, B",
    "its",
    "a b",
    "",
  ]);
});

test("takes credentials from the pipeline's variables", () => {
  const auth = { username: "me", password: "$REGISTRY_PASSWORD" };

  const [image] = readImages([{ image: "a", auth }], { REGISTRY_PASSWORD: "s3cret" });

  expect(image?.auth).toEqual({ username: "me", password: "s3cret" });
});

test("says which variable of the credentials is missing", () => {
  const auth = { username: "me", password: "${REGISTRY_PASSWORD}" };

  expect(() => readImages([{ image: "a", auth }], {})).toThrow("need the variable ${REGISTRY_PASSWORD}");
});

test("refuses credentials of a cloud in words", () => {
  expect(() => readImages([{ image: "a", aws_auth: { oidc_role_arn: "arn" } }], {})).toThrow(
    "aws_auth, which cannot be done here",
  );
});
