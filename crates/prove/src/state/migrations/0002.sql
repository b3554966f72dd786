-- The lists of incidents are answered from an index up to the rows that they show. Before, the first page of a hospital in which nothing
-- goes on read every incident there ever was to find none that is open.

DROP INDEX incidents_by_time;
DROP INDEX incidents_by_status;
CREATE INDEX incidents_by_time ON incidents (last_at DESC, id DESC, severity_id);
CREATE INDEX incidents_by_status ON incidents (status, last_at DESC, id DESC, severity_id);
-- The same for countermeasures that wait for a person: usually there is none among all there ever were.
CREATE INDEX countermeasures_by_state_and_id ON countermeasures (state, id);
