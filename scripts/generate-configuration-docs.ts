// Writes docs/configuration.md. A unit test fails when the page is not what this writes.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { configurationPage } from "./configuration-page.ts";

await writeFile(join(import.meta.dirname, "../docs/configuration.md"), await configurationPage());
