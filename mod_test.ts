import assert from "node:assert/strict";

/** What `deno doc --json` says of an export. */
interface Symbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
  }[];
}

/** Kinds of exports that a program can use at run time. */
const VALUES = ["function", "class", "variable"];

Deno.test("every value that mod.ts exports has an example, which the tests of documentation run", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "--quiet", "mod.ts"],
    cwd: import.meta.dirname!,
  }).output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  const symbols = Object.values<{ symbols: readonly Symbol[] }>(nodes).flatMap((of) => of.symbols);
  const values = symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => VALUES.includes(kind)).map(({ jsDoc }) => ({ name, jsDoc }))
  );
  assert(values.length > 20, "the exports are found");
  const without = values.filter(({ jsDoc }) =>
    !jsDoc?.tags?.some(({ kind }) => kind === "example")
  );
  assert.deepEqual(without.map(({ name }) => name), []);
});
