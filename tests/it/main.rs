//! One binary holds every integration test, so that it links once.
