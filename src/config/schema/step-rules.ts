import { get, isText, type Node } from "../parse/node.ts";
import { headOf, isOpen, type Shape, type Visit, violation } from "./shape.ts";

/** Rules between the options of a step, which no shape of a single option tells. */

/** `run`: reruns have a number, a delay needs them, and a background step has none. */
export function rerunRules(shape: Shape): Shape {
  return (node, visit) => {
    shape(node, visit);
    const count = get(node, "max_auto_reruns");
    const delay = get(node, "auto_rerun_delay");
    if (!count && !delay) return;
    const background = get(node, "background");
    if (background?.kind === "scalar" && background.value === true) {
      wrong(visit, background, "Background steps cannot use max_auto_reruns or auto_rerun_delay fields");
    }
    if (count) checkCount(count, visit);
    else if (delay) wrong(visit, delay, "auto_rerun_delay requires max_auto_reruns to be specified");
    if (delay?.kind === "scalar" && !delay.templated) checkDelay(delay, String(delay.value), visit);
  };
}

function wrong(visit: Visit, at: Node, text: string): void {
  violation(visit, { code: "wrong-value", at, text });
}

function checkCount(count: Node, visit: Visit): void {
  if (count.kind !== "scalar" || typeof count.value !== "number") return;
  if (count.value < 1 || count.value > 5) wrong(visit, count, "max_auto_reruns must be between 1 and 5");
}

function checkDelay(at: Node, value: string, visit: Visit): void {
  const problem = delayProblem(value);
  if (problem !== undefined) wrong(visit, at, problem);
}

function delayProblem(value: string): string | undefined {
  if (!/^[-+]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(value)) return "auto_rerun_delay must be a valid duration";
  const [, digits = "", unit = ""] = /^(\d+)(m|s)$/.exec(value) ?? [];
  const seconds = Number(digits) * (unit === "m" ? 60 : 1);
  if (digits !== "" && seconds > 600) return "auto_rerun_delay must not exceed 10 minutes";
  if (/^((10|[1-9])m|([1-9][0-9]*)s)$/.test(value)) return undefined;
  return "auto_rerun_delay must be in the format of 1-10 minutes (e.g., '1m', '10m') or any number of seconds (e.g., '30s', '120s')";
}

/** `checkout`: only a shallow one has a depth. */
export function checkoutRules(shape: Shape): Shape {
  return (node, visit) => {
    shape(node, visit);
    if (node.kind !== "map") return;
    const depth = node.entries.get("depth")?.value;
    const method = node.entries.get("method")?.value;
    if (!depth || isOpen(depth) || (method && isOpen(method))) return;
    const wrong = (text: string) => violation(visit, { code: "wrong-value", at: depth, text });
    if (!isText(method) || method.value !== "shallow")
      wrong("Checkout depth can only be used with the shallow checkout method");
    else if (depth.kind === "scalar" && typeof depth.value === "number" && depth.value <= 0)
      wrong("Checkout depth must be a positive integer when using the shallow checkout method");
  };
}

/** `restore_cache`: one of the two ways to say what is looked for. */
export function keyRules(shape: Shape): Shape {
  return (node, visit) => {
    shape(node, visit);
    if (node.kind !== "map" || node.entries.has("key") || node.entries.has("keys")) return;
    violation(visit, {
      code: "missing-key",
      at: headOf(node),
      text: "required key [key] not found",
      hint: "Give a `key:`, or `keys:`.",
    });
  };
}
