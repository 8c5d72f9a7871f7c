import type { OrbSource } from "../../../config/index.ts";
import { compileConfig, type Diagnostic, type DiagnosticCode, renderDiagnostic } from "../../../config/index.ts";
import { type Example, examples } from "./index.ts";

export interface FoundExample {
  finding: Diagnostic;
  /** The finding as it is told to people. */
  rendered: string;
  /** Codes of all that is found, each once. */
  codes: DiagnosticCode[];
}

/** What the compiler says about the example of a code. Undefined when it does not give that code. */
export async function findExample(code: DiagnosticCode): Promise<FoundExample | undefined> {
  const example = examples[code];
  const { diagnostics, texts } = await compileConfig(example.config, { file: "config.yml", orbs: orbsOf(example) });
  const finding = diagnostics.find((one) => one.code === code);
  const codes = [...new Set(diagnostics.map((one) => one.code))];
  return finding && { finding, rendered: renderDiagnostic(finding, texts), codes };
}

function orbsOf({ orbs = {}, refused }: Example): OrbSource {
  return {
    find: async (reference) => {
      const name =
        reference.kind === "url" ? reference.url : `${reference.namespace}/${reference.name}@${reference.version}`;
      const text = orbs[name];
      if (text !== undefined) return await Promise.resolve({ found: true, resolved: name, text });
      const versions = Object.keys(orbs).filter((one) => one.startsWith(`${name.split("@")[0]}@`));
      const reason = refused ?? (versions.length > 0 ? "no-such-version" : "no-such-orb");
      return { found: false, reason, known: versions.map((one) => one.split("@")[1] ?? "") };
    },
  };
}
