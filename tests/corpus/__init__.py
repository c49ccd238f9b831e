"""Odd and bad files, each with its verdict."""

from corpus import container_files, delimited_files, encoding_files, json_files, public_sets, task_files

FILES = [*delimited_files.FILES, *encoding_files.FILES, *json_files.FILES, *container_files.FILES, *task_files.FILES,
         *public_sets.FILES]
