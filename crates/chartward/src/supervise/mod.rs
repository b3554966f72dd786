//! Watchers as child processes: started with what they need and no more, heard, restarted.
