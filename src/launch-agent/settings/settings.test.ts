import { expect, test } from "vitest";
import type { Files } from "./files.ts";
import { healthAddress } from "./health-address.ts";
import { foreign, names, synonyms, yamlKeys } from "./keys.ts";
import { readSettings, type Settings } from "./settings.ts";

const token = "very-secret-token";
const needed = { CIRCLECI_RUNNER_API_URL: "https://control.example", CIRCLECI_RUNNER_API_AUTH_TOKEN: token };

function filesOf(content: Record<string, string>): Files {
  return {
    read: (path) => {
      const text = content[path];
      if (text === undefined) throw new Error(`cannot read ${path}: it does not exist`);
      return text;
    },
    exists: (path) => path in content,
    list: (path) => {
      const found = Object.keys(content).filter((file) => file.startsWith(`${path}/`));
      if (found.length === 0) throw new Error(`cannot read ${path}: it does not exist`);
      return found.map((file) => file.slice(path.length + 1));
    },
  };
}

async function read(environment: Record<string, string>, files: Record<string, string> = {}) {
  return await readSettings({ environment, files: filesOf(files) });
}

async function settings(environment: Record<string, string>, files: Record<string, string> = {}): Promise<Settings> {
  const read = await readSettings({ environment, files: filesOf(files) });
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  return read;
}

async function problems(environment: Record<string, string>, files: Record<string, string> = {}): Promise<string> {
  const read = await readSettings({ environment, files: filesOf(files) });
  if (!("problems" in read)) throw new Error("there is no problem");
  return read.problems.join("\n");
}

function shown({ classes }: Settings) {
  return classes.map(({ name, token: secret }) => [name, secret.reveal()]);
}

test("takes the names of every generation, the newest one first", async () => {
  const oldest = { CIRCLECI_API_TOKEN: "oldest", RUNNER_API: "https://oldest.example", AGENT_NAME: "oldest" };
  const old = {
    LAUNCH_AGENT_API_URL: "https://old.example",
    LAUNCH_AGENT_API_AUTH_TOKEN: "old",
    LAUNCH_AGENT_RUNNER_NAME: "old",
  };

  const first = await settings(oldest);
  expect(first.options).toMatchObject({
    CIRCLECI_RUNNER_API_URL: "https://oldest.example",
    CIRCLECI_RUNNER_NAME: "oldest",
  });
  expect(shown(first)).toEqual([[undefined, "oldest"]]);
  expect(shown(await settings({ ...oldest, ...old }))).toEqual([[undefined, "old"]]);
  expect((await settings({ ...oldest, ...old, ...needed })).options).toMatchObject(needed);
});

test.each(Object.entries(synonyms).flatMap(([name, others]) => others.map((other) => [other, name] as const)))(
  "knows %s as another name of %s",
  async (other, name) => {
    const samples: Record<string, [string, unknown]> = {
      CIRCLECI_RUNNER_API_AUTH_TOKEN: ["a-token", "a-token"],
      CIRCLECI_RUNNER_NAME: ["a name", "a name"],
      CIRCLECI_RUNNER_MODE: ["single-task", "single-task"],
      CIRCLECI_RUNNER_MAX_RUN_TIME: ["1h30m", 5_400_000],
      CIRCLECI_RUNNER_IDLE_TIMEOUT: ["50m", 3_000_000],
      CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: ["7", 7],
      CIRCLECI_RUNNER_LOGGING_LEVEL: ["warn", "warn"],
      CIRCLECI_RUNNER_LOGGING_FORMAT: ["text", "text"],
      LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE: ["true", true],
    };
    const [text, value] = samples[name] ?? ["https://x.example", "https://x.example"];
    const others = Object.fromEntries(Object.entries(needed).filter(([each]) => each !== name));

    const { options } = await settings({ ...others, [other]: text });

    expect(options).toMatchObject({ [name]: value });
  },
);

test("reads the file of machine runner 3, and lets the environment go before it", async () => {
  const file = `
api:
  auth_token: ${token}
  url: https://file.example
runner:
  name: from the file
  mode: single-task
  max_run_time: 1h30m20s
  idle_timeout: 50m
  max_concurrent_tasks: 3
  working_directory: /var/lib/circleci-runner/workdir
  cleanup_working_directory: true
logging: {level: debug, format: text, file: "-"}
cofferdam:
  pool_total: 0
`;
  const place = "/etc/circleci-runner/circleci-runner-config.yaml";

  const read = await settings({ CIRCLECI_RUNNER_MODE: "continuous" }, { [place]: file });

  expect(read.options).toMatchObject({
    CIRCLECI_RUNNER_API_URL: "https://file.example",
    CIRCLECI_RUNNER_NAME: "from the file",
    CIRCLECI_RUNNER_MODE: "continuous",
    CIRCLECI_RUNNER_MAX_RUN_TIME: 5_420_000,
    CIRCLECI_RUNNER_IDLE_TIMEOUT: 3_000_000,
    CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: 3,
    CIRCLECI_RUNNER_LOGGING_LEVEL: "debug",
    COFFERDAM_POOL_TOTAL: 0,
  });
  expect(read.notices).toEqual([
    expect.stringMatching(/:11: runner.working_directory changes nothing here: every task/),
  ]);
});

test("takes any value from a file that NAME_FILE names, without the line's end", async () => {
  const environment = {
    CIRCLECI_RUNNER_API_URL_FILE: "/run/secrets/url",
    CIRCLECI_API_TOKEN_FILE: "/run/secrets/token",
    CIRCLECI_RUNNER_NAME: "n",
  };

  const read = await settings(environment, {
    "/run/secrets/url": "https://a.example\r\n",
    "/run/secrets/token": `${token}\n`,
  });

  expect(read.options.CIRCLECI_RUNNER_API_URL).toBe("https://a.example");
  expect(shown(read)).toEqual([[undefined, token]]);
  await expect(problems({ ...environment, CIRCLECI_API_TOKEN: "x" })).resolves.toContain(
    "CIRCLECI_API_TOKEN_FILE: is set twice, as CIRCLECI_API_TOKEN, too",
  );
  await expect(problems(environment)).resolves.toContain(
    "CIRCLECI_API_TOKEN_FILE: cannot read /run/secrets/token: it does not exist",
  );
});

test("says everything that is wrong at once, under the name that was used, and repeats no secret", async () => {
  const said = await problems({
    RUNNER_API: "nowhere",
    CIRCLECI_RUNNER_NAME: "a/b",
    CIRCLECI_RUNNER_API_AUTH_TOKEN: token,
    MAX_RUN_TIME: "soon",
    CIRCLECI_RUNNER_MODE: token,
    COFFERDAM_HEALTH_ADDRESS: "7623",
  });

  expect(said.split("\n")).toEqual([
    "RUNNER_API: must be an address such as https://cofferdam.example.com",
    "CIRCLECI_RUNNER_NAME: must contain only letters, numbers, .()_-, and spaces",
    'CIRCLECI_RUNNER_MODE: Invalid option: expected one of "continuous"|"single-task"',
    "MAX_RUN_TIME: must be a duration such as 72h, 1h30m20s, 50m or 30s",
    "COFFERDAM_HEALTH_ADDRESS: must be HOST:PORT, :PORT or none",
  ]);
  await expect(problems({})).resolves.toBe("CIRCLECI_RUNNER_API_URL: is not set");
  await expect(problems({ CIRCLECI_RUNNER_API_URL: "https://a.example" })).resolves.toMatch(
    /^CIRCLECI_RUNNER_API_AUTH_TOKEN: is not set/,
  );
});

test("refuses a key of the file that is none, with its line and the nearest one", async () => {
  const file = `api:\n  url: https://a.example\n  auth_tokn: ${token}\nruner: {}\nrunner:\n  mode:\n    deep: 1\n`;

  const said = await problems({ CIRCLECI_RUNNER_CONFIG: "/f.yaml", ...needed }, { "/f.yaml": file });

  expect(said).toBe(
    [
      '/f.yaml:3: unknown key "api.auth_tokn". Did you mean "api.auth_token"?',
      '/f.yaml:4: unknown key "runer". Did you mean "runner"?',
      '/f.yaml:7: unknown key "runner.mode.deep". Did you mean "runner.mode"?',
    ].join("\n"),
  );
});

test("says where a file is not YAML without repeating a word of it", async () => {
  const said = await problems(needed, {
    "/etc/cofferdam/launch-agent-config.yaml": `api:\n  auth_token: *${token}\n  url: [\n`,
  });

  expect(said).toMatch(/^\/etc\/cofferdam\/launch-agent-config\.yaml:\d+: this is not YAML/);
  expect(said).not.toContain(token);
  await expect(problems({ ...needed, CIRCLECI_RUNNER_CONFIG: "/none" })).resolves.toBe(
    "cannot read /none: it does not exist",
  );
});

test("honours, refuses in words, or takes with a word every key of CircleCI's agents", async () => {
  for (const { key, environment, how, instead } of foreign) {
    for (const name of environment) {
      const given = { ...needed, [name]: "anything" };
      const said = how === "refused" ? await problems(given) : (await settings(given)).notices.join("\n");
      expect(said).toContain(name);
      expect(said).toContain(instead);
    }
    if (key === undefined) continue;
    const [section, ...rest] = key.split(".");
    const text = `${section}: {${rest.join(": {")}: anything${"}".repeat(rest.length)}\n`;
    const read = await readSettings({ environment: needed, configFile: "/f", files: filesOf({ "/f": text }) });
    expect("problems" in read ? read.problems.join() : read.notices.join()).toContain(instead);
  }
});

test("says nothing of what is so anyway", async () => {
  const { notices } = await settings({ ...needed, LAUNCH_AGENT_RUNNER_CLEANUP_WORK_DIR: "true" });

  expect(notices).toEqual([]);
});

test("has a key in the file for every setting but those of classes", () => {
  const inFile = new Set(yamlKeys.values());

  expect(names().filter((name) => !inFile.has(name))).toEqual(["CIRCLECI_RUNNER_RESOURCE_CLASSES"]);
});

test("has a word for a name in the environment that is nearly a setting's", async () => {
  const environment = {
    CIRCLECI_RUNNER_IDLE_TIMOUT: "1h",
    LAUNCH_AGENT_PORT_80_TCP: "tcp://10.0.0.1:80",
    PATH: "/bin",
  };

  const { notices } = await settings({ ...needed, ...environment });

  expect(notices).toEqual(["CIRCLECI_RUNNER_IDLE_TIMOUT is no setting. Did you mean CIRCLECI_RUNNER_IDLE_TIMEOUT?"]);
});

test("serves all classes of a token directory, or those that are named", async () => {
  const environment = { CIRCLECI_RUNNER_API_URL: "https://a.example", COFFERDAM_TOKEN_DIRECTORY: "/tokens" };
  const files = { "/tokens/ns.one": "t1\n", "/tokens/ns.two:x": "t2", "/tokens/..data": "no", "/tokens/.gitkeep": "" };

  expect(shown(await settings(environment, files))).toEqual([
    ["ns/one", "t1"],
    ["ns/two:x", "t2"],
  ]);
  const named = { ...environment, CIRCLECI_RUNNER_RESOURCE_CLASSES: "ns/two:x, ns/three=t3" };
  expect(shown(await settings(named, files))).toEqual([
    ["ns/two:x", "t2"],
    ["ns/three", "t3"],
  ]);
});

test("takes classes of the file, with their tokens or the files of them", async () => {
  const file = "resource_classes:\n  ns/one: {token: t1}\n  ns/two:\n    token_file: /t2\n";
  const environment = { CIRCLECI_RUNNER_API_URL: "https://a.example", CIRCLECI_RUNNER_CONFIG: "/f" };

  expect(shown(await settings(environment, { "/f": file, "/t2": "t2\n" }))).toEqual([
    ["ns/one", "t1"],
    ["ns/two", "t2"],
  ]);
  await expect(problems(environment, { "/f": "resource_classes:\n  ns/one: {tokn: t1}\n" })).resolves.toBe(
    '/f:2: unknown key "resource_classes.ns/one.tokn". Did you mean "token"?',
  );
});

test("says what is wrong with a class or its token without repeating it", async () => {
  const base = { CIRCLECI_RUNNER_API_URL: "https://a.example" };

  await expect(problems({ ...base, CIRCLECI_RUNNER_RESOURCE_CLASSES: "nowhere=t" })).resolves.toContain(
    '"nowhere" is no resource class; write NAMESPACE/NAME',
  );
  await expect(problems({ ...base, CIRCLECI_RUNNER_API_AUTH_TOKEN: `two ${token}` })).resolves.toBe(
    "CIRCLECI_RUNNER_API_AUTH_TOKEN: this is no token: it has other characters, or none",
  );
  await expect(problems({ ...base, CIRCLECI_RUNNER_RESOURCE_CLASSES: "ns/one" })).resolves.toContain(
    "ns/one: no token: write ns/one=TOKEN, or set COFFERDAM_TOKEN_DIRECTORY",
  );
});

test("tells apart what somebody may still bring: tokens that are written at the same time", async () => {
  const base = { CIRCLECI_RUNNER_API_URL: "https://a.example", COFFERDAM_TOKEN_DIRECTORY: "/tokens" };

  await expect(read(base)).resolves.toMatchObject({ mayCome: true });
  await expect(read({ ...base, CIRCLECI_RUNNER_RESOURCE_CLASSES: "ns/one" })).resolves.toMatchObject({ mayCome: true });
  await expect(read({ ...base, CIRCLECI_RUNNER_MODE: "x" })).resolves.not.toHaveProperty("mayCome");
});

test("a health check finds the agent's address where the agent does", async () => {
  const at = async (environment: Record<string, string>, files: Record<string, string> = {}, configFile?: string) =>
    await healthAddress(environment, { files: filesOf(files), ...(configFile === undefined ? {} : { configFile }) });
  const yaml = (address: string) => `cofferdam: {health_address: "${address}"}\n`;
  const found = { "/opt/circleci/launch-agent-config.yaml": yaml(":1") };

  await expect(at({})).resolves.toBe(":7623");
  await expect(at({}, found)).resolves.toBe(":1");
  await expect(at({}, { ...found, "/named.yaml": yaml(":2") }, "/named.yaml")).resolves.toBe(":2");
  await expect(at({ COFFERDAM_HEALTH_ADDRESS: ":3" }, found)).resolves.toBe(":3");
  await expect(at({ COFFERDAM_HEALTH_ADDRESS_FILE: "/here" }, { "/here": ":4\n" })).resolves.toBe(":4");
  await expect(at({ CIRCLECI_RUNNER_CONFIG: "/broken.yaml" }, { "/broken.yaml": "[" })).resolves.toBe(":7623");
});
