/*
 * TOML as items that know their place in the file. The one file that knows the parser.
 *
 * Idea: what a table says can be spread over headers, dotted keys and inline tables; here it is put together, with
 * the place of each key and each value, so that whatever is wrong can be shown where it stands.
 */
import { parseTOML, ParseError, type AST } from 'toml-eslint-parser';

/** A place in a file; both count from 1, columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A value and its place. */
export type Item = { readonly place: Place } & (
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'integer' | 'float'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'date' }
  | List
  | Table
);

/** A list, in brackets or of `[[…]]`. */
interface List {
  readonly place: Place;
  readonly kind: 'list';
  readonly items: readonly Item[];
}

/** A table; it stands where it is mentioned first. */
export interface Table {
  readonly place: Place;
  readonly kind: 'table';
  readonly entries: ReadonlyMap<string, Entry>;
}

/** What is behind a key, and the place of the key. */
export interface Entry {
  readonly place: Place;
  readonly item: Item;
}

/** Takes note of something wrong, and of what would help. */
export type Report = (place: Place, message: string, remedy?: string) => void;

/** Reads TOML 1.1; undefined where it is none, which is reported. */
export function parseToml(text: string, report: Report): Table | undefined {
  try {
    return build(parseTOML(text, { tomlVersion: '1.1' }));
  } catch (error) {
    if (error instanceof ParseError) {
      const { place, message } = faultOf(error, text);
      report(place, message, 'The file is TOML: a key, = and a value on one line, and text in quotes.');
    } else if (error instanceof RangeError) {
      // The parser goes down one level by a call, and the stack has an end.
      report({ line: 1, column: 1 }, 'the file is nested too deeply');
    } else {
      throw error;
    }
    return undefined;
  }
}

/** A table that is still being put together. */
interface OpenTable extends Table {
  readonly entries: Map<string, Entry>;
}

interface OpenList extends List {
  readonly items: Item[];
}

type KeyPart = AST.TOMLKey['keys'][number];

function build(program: AST.TOMLProgram): Table {
  const root = openTable({ line: 1, column: 1 });
  for (const node of program.body[0].body) {
    if (node.type === 'TOMLKeyValue') {
      put(root, node);
      continue;
    }
    const table = tableOf(root, node);
    for (const pair of node.body) put(table, pair);
  }
  return root;
}

/** The table that a header begins or goes on with. */
function tableOf(root: OpenTable, { key, resolvedKey, loc }: AST.TOMLTable): OpenTable {
  let table = root;
  let list: OpenList | undefined;
  const parts = key.keys.values();
  const begin = (): OpenTable => openTable(placeOf(loc));
  for (const [index, step] of resolvedKey.entries()) {
    if (typeof step === 'number' && list !== undefined) {
      table = (list.items[step] ??= begin()) as OpenTable;
      list = undefined;
      continue;
    }
    const isList = typeof resolvedKey[index + 1] === 'number';
    const part = parts.next().value as KeyPart;
    const make = (): Item => (isList ? { kind: 'list', place: placeOf(loc), items: [] } : begin());
    const found = child(table, part, make);
    if (isList) list = found as OpenList;
    else table = found as OpenTable;
  }
  return table;
}

/** Puts a value behind a key that may be dotted. */
function put(table: OpenTable, { key, value }: AST.TOMLKeyValue): void {
  const last = key.keys.at(-1) as KeyPart;
  let inner = table;
  for (const part of key.keys.slice(0, -1)) {
    inner = child(inner, part, () => openTable(placeOf(part.loc))) as OpenTable;
  }
  child(inner, last, () => itemOf(value));
}

/** What is behind a key, made where there is nothing. The parser has seen to it that nothing is there twice. */
function child(table: OpenTable, part: KeyPart, make: () => Item): Item {
  const name = part.type === 'TOMLBare' ? part.name : part.value;
  const found = table.entries.get(name);
  if (found !== undefined) return found.item;
  const item = make();
  table.entries.set(name, { place: placeOf(part.loc), item });
  return item;
}

function itemOf(node: AST.TOMLContentNode): Item {
  const place = placeOf(node.loc);
  if (node.type === 'TOMLArray') return { kind: 'list', place, items: node.elements.map(itemOf) };
  if (node.type === 'TOMLInlineTable') {
    const table = openTable(place);
    for (const pair of node.body) put(table, pair);
    return table;
  }
  switch (node.kind) {
    case 'string':
      return { kind: 'string', place, value: node.value };
    case 'integer':
    case 'float':
      return { kind: node.kind, place, value: node.value };
    case 'boolean':
      return { kind: 'boolean', place, value: node.value };
    default:
      return { kind: 'date', place };
  }
}

function openTable(place: Place): OpenTable {
  return { kind: 'table', place, entries: new Map() };
}

function placeOf({ start }: AST.HasLocs['loc']): Place {
  return { line: start.line, column: start.column + 1 };
}

/** What is wrong with the form of the file; the parser only sees that a line ends too early when it is in the next. */
function faultOf(error: ParseError, text: string): { place: Place; message: string } {
  const before = text.slice(0, error.index);
  const read = before.trimEnd();
  const isNextLine = before.slice(read.length).includes('\n');
  if (isNextLine && (read.endsWith('=') || error.message.includes('same line'))) {
    const lines = read.split('\n');
    const place = { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
    return { place, message: read.endsWith('=') ? 'a value is missing' : 'the line ends too early' };
  }
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  return { place: { line: error.lineNumber, column: error.column + 1 }, message };
}
