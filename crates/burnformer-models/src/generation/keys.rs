//! The keys of `generation_config.json`, and of `config.json` in its place: what is obeyed, what is refused, and what
//! changes no text.

/// Keys that are obeyed.
pub(super) const OBEYED: [&str; 24] = [
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "do_sample",
    "early_stopping",
    "eos_token_id",
    "force_bos_token_to_be_generated",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "num_beams",
    "pad_token_id",
    "renormalize_logits",
    "repetition_penalty",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
];

/// When a key that is not obeyed would change the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Sampling,
    Beams,
}

/// A key that is refused, the value with which it changes nothing (as does null), and when it would change something.
pub(super) struct Refused {
    pub(super) key: &'static str,
    /// As JSON.
    pub(super) neutral: &'static str,
    pub(super) when: When,
}

const fn refused(key: &'static str, neutral: &'static str, when: When) -> Refused {
    Refused { key, neutral, when }
}

/// Keys that would change the texts and are not supported.
pub(super) const REFUSED: [Refused; 22] = [
    refused("constraints", "null", When::Always),
    refused("diversity_penalty", "0", When::Beams),
    refused("dola_layers", "null", When::Always),
    refused("encoder_no_repeat_ngram_size", "0", When::Always),
    refused("encoder_repetition_penalty", "1", When::Always),
    refused("epsilon_cutoff", "0", When::Sampling),
    refused("eta_cutoff", "0", When::Sampling),
    refused("exponential_decay_length_penalty", "null", When::Always),
    refused("force_words_ids", "null", When::Always),
    refused("forced_decoder_ids", "null", When::Always),
    refused("guidance_scale", "1", When::Always),
    refused("max_time", "null", When::Always),
    refused("min_p", "null", When::Sampling),
    refused("num_beam_groups", "1", When::Beams),
    refused("penalty_alpha", "0", When::Always),
    refused("sequence_bias", "null", When::Always),
    refused("stop_strings", "null", When::Always),
    refused("token_healing", "false", When::Always),
    refused("top_h", "null", When::Sampling),
    refused("typical_p", "1", When::Sampling),
    refused("watermarking_config", "null", When::Always),
    refused("forced_token_ids", "null", When::Always),
];

/// Keys that change no text: how other programs wrote the file, and what else they return. They are not written again.
pub(super) const METADATA: [&str; 12] = [
    "_commit_hash",
    "_from_model_config",
    "_original_object_hash",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "return_legacy_cache",
    "transformers_version",
    "use_cache",
];

/// Keys that change no text: speed, memory, and the number of texts, which the caller asks for.
pub(super) const HARMLESS: [&str; 23] = [
    "assistant_confidence_threshold",
    "assistant_early_exit",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "continuous_batching_config",
    "disable_compile",
    "generation_kwargs",
    "is_assistant",
    "low_memory",
    "max_cache_len",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "num_return_sequences",
    "prefill_chunk_size",
    "prompt_lookup_num_tokens",
    "remove_invalid_values",
    "speculation_type",
    "target_lookbehind",
    "use_mtp",
];

/// Keys of `config.json` alone that are settings of the model too: they do not tell that the file has settings of
/// generation.
pub(super) const OF_MODEL: [&str; 5] =
    ["bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_eos_token_id", "pad_token_id"];

/// `true` for a key of the tables above.
pub(crate) fn is_generation_key(key: &str) -> bool {
    let silent = METADATA.contains(&key) || HARMLESS.contains(&key);
    silent || OBEYED.contains(&key) || REFUSED.iter().any(|refused| refused.key == key)
}
