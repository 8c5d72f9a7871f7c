import { codes, type Diagnostic, type DiagnosticCode, warningCodes } from "../../config/index.ts";

/** Findings as SARIF 2.1.0, which code hosts show at the lines of a change. */
export function sarifOf(findings: readonly Diagnostic[]): object {
  const used = [...new Set(findings.map((one) => one.code))].toSorted();
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver: { name: "cofferdam", rules: used.map(ruleOf) } }, results: findings.map(resultOf) }],
  };
}

function ruleOf(code: DiagnosticCode): object {
  return {
    id: code,
    shortDescription: { text: codes[code] },
    defaultConfiguration: { level: warningCodes.has(code) ? "warning" : "error" },
  };
}

function resultOf(finding: Diagnostic): object {
  const { code, severity, chain, message, hint, file } = finding;
  const text = [...chain, message, ...(hint === undefined ? [] : [hint])].join("\n");
  const region = {
    startLine: finding.line,
    startColumn: finding.column,
    endLine: finding.endLine,
    endColumn: finding.endColumn,
  };
  return {
    ruleId: code,
    level: severity,
    message: { text },
    locations: [{ physicalLocation: { artifactLocation: { uri: encodeURI(file.replaceAll("\\", "/")) }, region } }],
  };
}
