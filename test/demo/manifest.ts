/** Kubernetes objects in the YAML files of this folder, and back as a person would write them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Document, isMap, parse, visit } from 'yaml';
import { asObject, at, type JsonObject } from '../../src/domain/json.ts';
import { memoryOf, type Pair, tunedContainers } from '../../src/domain/workload.ts';

/** @returns one object per YAML file, in the order of their names */
export function readFolder(folder: string): JsonObject[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  return files.sort().map((file) => parse(readFileSync(join(folder, file), 'utf8')));
}

/** YAML with each list of resources on one line, and long texts unbroken. */
export function toYaml(object: JsonObject): string {
  const document = new Document(object);
  visit(document, {
    Pair(_, { key, value }) {
      if (isMap(value) && ['requests', 'limits'].includes(String(key))) value.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, indentSeq: false });
}

/** `orders` of `Deployment/orders`. */
export function nameOf(object: JsonObject): string {
  return String(at(object, 'metadata', 'name'));
}

/** The object as the next release of its first container: `orders:1.8` becomes `orders:1.9`. */
export function nextRelease(object: JsonObject): JsonObject {
  const copy = structuredClone(object);
  const container = tunedContainers(copy)[0]?.json;
  if (container) container.image = String(container.image).replace(/\d+$/, (digits) => String(Number(digits) + 1));
  return copy;
}

/** The tag that the first container runs, e.g. `1.8`. */
export function releaseOf(object: JsonObject): string {
  return String(tunedContainers(object)[0]?.json.image).split(':')[1] ?? '';
}

export function memoryIn(object: JsonObject, container: string): Pair<string> {
  const found = tunedContainers(object).find(({ name }) => name === container);
  return (found ? memoryOf(found.json) : {}) as Pair<string>;
}

/** `512Mi/768Mi` */
export function pair(values: Pair<string> | undefined): string {
  return `${values?.request ?? '-'}/${values?.limit ?? '-'}`;
}

export function withMetadata(object: JsonObject, metadata: JsonObject): JsonObject {
  return { ...object, metadata: { ...asObject(object.metadata), ...metadata } };
}
