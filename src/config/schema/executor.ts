import { isText } from "../parse/node.ts";
import { anything, boolean, either, integer, list, map, mapOf, oneOf, type Shape, text } from "./shape.ts";
import { environment, textOrList } from "./steps.ts";

const image = map({
  required: ["image"],
  keys: {
    image: text,
    name: text,
    entrypoint: either({ scalar: text, list: list(text), null: anything }, "String"),
    command: either({ scalar: text, list: list(text), null: anything }, "String"),
    user: text,
    environment,
    auth: either({ map: map({ keys: { username: text, password: text } }), null: anything }, "Mapping"),
    aws_auth: either(
      {
        map: map({ keys: { aws_access_key_id: text, aws_secret_access_key: text, oidc_role_arn: text } }),
        null: anything,
      },
      "Mapping",
    ),
    gcp_auth: mapOf(text),
  },
});

const machine = either(
  {
    scalar: anything,
    map: map({
      keys: { image: text, docker_layer_caching: boolean, resource_class: text, shell: textOrList, enabled: boolean },
      others: "ignored",
    }),
  },
  "Boolean|String|Mapping",
);

const macos = either(
  {
    map: map({
      keys: { xcode: text, resource_class: text, shell: textOrList, code_signing: anything },
      others: "ignored",
    }),
  },
  "Mapping",
);

/** Where a job runs, and how: keys of executors that jobs have as well. */
export const executorKeys: Readonly<Record<string, Shape>> = {
  docker: either({ list: list(image) }, "Sequence"),
  machine,
  macos,
  resource_class: text,
  shell: textOrList,
  working_directory: text,
  environment,
};

export const places = ["docker", "machine", "macos"] as const;

export const parameterTypes = ["string", "boolean", "integer", "enum", "executor", "steps", "env_var_name"] as const;
const pipelineParameterTypes = ["string", "boolean", "integer", "enum"] as const;

const parameterKeys = {
  type: oneOf(parameterTypes, "bad-parameter"),
  default: anything,
  description: anything,
  enum: list(text),
};

export const parameters: Shape = either(
  { map: mapOf(map({ required: ["type"], keys: parameterKeys })), null: anything },
  "Mapping",
);

export const pipelineParameters: Shape = either(
  {
    map: mapOf(
      map({
        required: ["default", "type"],
        keys: { ...parameterKeys, type: oneOf(pipelineParameterTypes, "bad-parameter") },
      }),
    ),
    null: anything,
  },
  "Mapping",
);

const wholeNumber = integer({ min: 0 });

/** Digits in quotes are a number, too; none at all is one. */
export const parallelism: Shape = (node, visit) => {
  if (!isText(node) || !/^\d{1,6}$/.test(node.value)) wholeNumber(node, visit);
};
