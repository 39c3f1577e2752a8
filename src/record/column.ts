/** A column of `kubectl get` for a record with several values: the first three by name, and how many more there are. */
export function columnOf(values: readonly { name: string; value: string | number }[]): string {
  const listed = values.slice(0, 3).map(({ name, value }) => `${name}=${value}`);
  if (values.length > 3) listed.push(`+${values.length - 3}`);
  return listed.join(',');
}
