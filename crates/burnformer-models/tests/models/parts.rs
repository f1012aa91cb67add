//! A model in parts: each process holds its own, and a saved one has the bytes of a whole one.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_models::weights::{Elsewhere, with_elsewhere};
use burnformer_models::{
    BertConfig, BertForPreTraining, GptConfig, GptForCausalLM, GptTokens, Pretrained, Seq2Seq, Seq2SeqConfig, Staged,
    Use, Vocabularies, stats,
};
use burnformer_nn::parts::{Part, Parts};
use burnformer_ops::DeviceChoice;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::rc::Rc;

/// The values of all parameters that have some.
struct Held(BTreeMap<String, TensorData>);

impl Held {
    fn by<M: Module>(module: &M) -> Self {
        #[derive(Default)]
        struct Collect(BTreeMap<String, TensorData>, Vec<String>);
        impl ModuleVisitor for Collect {
            fn enter_module(&mut self, name: &str, _container_type: &str) {
                self.1.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container_type: &str) {
                self.1.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                assert!(param.is_initialized(), "{}", self.1.join("."));
                if param.shape().num_elements() > 0 {
                    self.0.insert(self.1.join("."), param.val().into_data());
                }
            }
        }
        let mut found = Collect::default();
        module.visit(&mut found);
        Self(found.0)
    }
}

impl Elsewhere for Held {
    fn shape(&self, path: &str) -> Option<Vec<usize>> {
        self.0.get(path).map(|data| data.shape().to_vec())
    }

    fn read(&self, path: &str) -> io::Result<TensorData> {
        Ok(self.0[path].clone())
    }
}

fn check<M: Pretrained>(config: &(impl Staged + Clone + 'static), init: impl Fn() -> M, device: &Device) {
    let n_last = config.n_layers()[1] - 1;
    let parts = |is_last: bool| {
        let config = config.clone();
        let is_here = move |place: Use| matches!(place, Use::Layer(n) if n == n_last) || place == Use::Head;
        Parts::new(move |path| {
            if config.uses(path).into_iter().any(|place| is_here(place) == is_last) { Part::All } else { Part::None }
        })
    };
    let [whole, first, second] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let model = init();
    model.save(whole.path()).unwrap();
    let all = Held::by(&model);
    for again in [false, true] {
        // Initialised, and loaded.
        let part =
            |is_last| parts(is_last).within(|| if again { M::load(whole.path(), device).unwrap() } else { init() });
        let [of_first, of_second] = [part(false), part(true)];
        let [held_first, held_second] = [Held::by(&of_first), Held::by(&of_second)];
        assert!(!held_first.0.is_empty() && held_first.0.len() < all.0.len());
        assert!(!held_second.0.is_empty() && held_second.0.len() < all.0.len());
        let both: BTreeMap<_, _> = held_first.0.iter().chain(&held_second.0).collect();
        assert!(both.into_iter().eq(&all.0));
        let missing = |held: &Held, all: &Held| {
            let missing = all.0.iter().filter(|(path, _)| !held.0.contains_key(*path));
            Rc::new(Held(missing.map(|(path, data)| (path.clone(), data.clone())).collect()))
        };
        with_elsewhere(missing(&held_first, &held_second), || of_first.save(first.path()).unwrap());
        with_elsewhere(missing(&held_second, &held_first), || of_second.save(second.path()).unwrap());
        for entry in fs::read_dir(whole.path()).unwrap() {
            let name = entry.unwrap().file_name();
            let [whole, first, second] = [&whole, &first, &second].map(|it| fs::read(it.path().join(&name)).unwrap());
            assert!(whole == first && whole == second, "{name:?}");
        }
    }
    assert_eq!(stats::n_parameters(&M::load(first.path(), device).unwrap()), stats::n_parameters(&model));
}

#[test]
fn parts_of_a_model_are_saved_as_a_whole_one() {
    let device = DeviceChoice::Auto.open().unwrap();
    for tied_embeddings in [true, false] {
        let size = BertConfig::preset("bert-tiny", 30, 0).unwrap();
        let config = BertConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 10, tied_embeddings, ..size };
        let counts: Vec<u64> = (0..30).collect();
        let init =
            || BertForPreTraining::init(&config, 7, &device).with_sinusoidal_positions().with_token_counts(&counts);
        check(&config, init, &device);
        let size = GptConfig::preset("gpt-tiny", 30, GptTokens::default()).unwrap();
        let config = GptConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 10, tied_embeddings, ..size };
        check(&config, || GptForCausalLM::init(&config, 7, &device), &device);
        let vocabularies = Vocabularies {
            source_size: 30,
            target_size: 30,
            shared: tied_embeddings,
            pad_id: 0,
            eos_id: 1,
            decoder_start_id: 0,
        };
        let size = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
        let config = Seq2SeqConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 10, tied_embeddings, ..size };
        check(&config, || Seq2Seq::init(&config, 7, &device), &device);
    }
}
