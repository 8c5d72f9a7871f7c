// Writes docs/diagnostics.md. A unit test fails when the page is not what this writes.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diagnosticsPage } from "../src/cli/config/examples/page.ts";

await writeFile(join(import.meta.dirname, "../docs/diagnostics.md"), await diagnosticsPage());
