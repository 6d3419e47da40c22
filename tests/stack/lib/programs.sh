# shellcheck shell=bash
programs_up() { :; }
programs_env() { :; }
