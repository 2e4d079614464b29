"""Pictures inside archives as published: zip, tar and tar.gz, whole or cut into pieces, read in place."""
