import { XMLParser } from "fast-xml-parser";
import type { TestResult } from "../../protocol/agent-api.ts";

type Node = Record<string, unknown>;

const maxMessageChars = 16 * 1024;
const maxDepth = 64;
const attribute = "@";
const repeated = new Set(["testsuite", "testcase", "failure", "error", "skipped"]);

const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/** Test cases of a JUnit XML file. Throws where it is no XML. */
export function parseJunit(text: string): TestResult[] {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: attribute,
    parseTagValue: false,
    parseAttributeValue: false,
    // A file may declare entities that expand to gigabytes; only those of XML itself are looked at, below.
    processEntities: false,
    isArray: (name) => repeated.has(name),
    jPath: false,
  });
  const results: TestResult[] = [];
  const document = parser.parse(text, true) as Node;
  collect(document, "", results, 0);
  return results;
}

function collect(node: Node, suite: string, results: TestResult[], depth: number): void {
  if (depth > maxDepth) throw new Error(`test suites are nested deeper than ${maxDepth}`);
  if (isNode(node["testsuites"])) collect(node["testsuites"], suite, results, depth + 1);
  for (const child of list(node["testsuite"])) collect(child, attributeOf(child, "name") ?? suite, results, depth + 1);
  for (const testcase of list(node["testcase"])) results.push(resultOf(testcase, suite, attributeOf(node, "file")));
}

function resultOf(testcase: Node, suite: string, suiteFile: string | undefined): TestResult {
  const file = attributeOf(testcase, "file") ?? suiteFile;
  const [kind, told] = verdict(testcase);
  const seconds = Number((attributeOf(testcase, "time") ?? "0").replaceAll(",", ""));
  return {
    classname: attributeOf(testcase, "classname") ?? suite,
    name: attributeOf(testcase, "name") ?? "",
    ...(file !== undefined && { file }),
    result: kind,
    ...(told !== undefined && { message: told.slice(0, maxMessageChars) }),
    runTime: Number.isFinite(seconds) && seconds > 0 ? seconds : 0,
  };
}

function verdict(testcase: Node): [TestResult["result"], string | undefined] {
  for (const kind of ["failure", "error", "skipped"] as const) {
    const [first] = Array.isArray(testcase[kind]) ? (testcase[kind] as unknown[]) : [];
    if (first !== undefined) return [kind, messageOf(first)];
  }
  return ["success", undefined];
}

function messageOf(element: unknown): string | undefined {
  if (typeof element === "string") return decoded(element) || undefined;
  if (!isNode(element)) return undefined;
  const text = element["#text"];
  const parts = [attributeOf(element, "message"), typeof text === "string" ? decoded(text) : undefined];
  return parts.filter((part) => part !== undefined && part !== "").join("\n") || undefined;
}

function list(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function attributeOf(node: Node, name: string): string | undefined {
  const value = node[`${attribute}${name}`];
  return typeof value === "string" ? decoded(value) : undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decoded(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi,
    (whole, decimal, hex, name: string | undefined) => {
      if (name !== undefined) return entities[name] ?? whole;
      const code = typeof decimal === "string" ? Number(decimal) : Number.parseInt(String(hex), 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
