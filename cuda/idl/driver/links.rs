/// Linking of images.
pub trait Links {
    #[shadow]
    #[since(6050)]
    fn cuLinkCreate_v2(
        numOptions: c_uint,
        #[input]
        #[list(numOptions)]
        options: *mut CUjit_option,
        #[list(numOptions)] optionValues: *mut *mut c_void,
        #[out] stateOut: *mut CUlinkState,
    );
    #[sync]
    #[since(6050)]
    fn cuLinkAddData_v2(
        state: CUlinkState,
        type_: CUjitInputType,
        #[input]
        #[bytes(size)]
        data: *mut c_void,
        size: usize,
        #[by(optional_text)] name: *const c_char,
        numOptions: c_uint,
        #[input]
        #[list(numOptions)]
        options: *mut CUjit_option,
        #[list(numOptions)] optionValues: *mut *mut c_void,
    );
    #[sync]
    #[since(6050)]
    fn cuLinkAddFile_v2(
        state: CUlinkState,
        type_: CUjitInputType,
        #[text] path: *const c_char,
        numOptions: c_uint,
        #[input]
        #[list(numOptions)]
        options: *mut CUjit_option,
        #[list(numOptions)] optionValues: *mut *mut c_void,
    );
    #[sync]
    #[since(5050)]
    fn cuLinkComplete(
        state: CUlinkState,
        #[out] cubinOut: *mut *mut c_void,
        #[out]
        #[optional]
        sizeOut: *mut usize,
    );
    #[asynchronous]
    #[since(5050)]
    fn cuLinkDestroy(state: CUlinkState);
}
